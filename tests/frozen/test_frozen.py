"""Files that were saved before are read to the same maps, words and figures; unfinished work goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sightline.tasks.attributes.network.store import load_attribute_net
from tests.frozen.readers import HERE, READERS, differences


@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_former_days_reads_as_it_did(reader: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert differences(reader, tmp_path.resolve()) == []
    finally:
        torch.set_num_threads(threads)


def test_a_network_of_former_days_is_one_that_nobody_measured() -> None:
    for path in HERE.glob("attributes*.safetensors"):
        net = load_attribute_net(path)
        assert not net.skill.measured
        assert net.calibration.prior is None
