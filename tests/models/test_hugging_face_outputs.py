"""Hugging Face classifiers say what their outputs mean and what they are called."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sightline

transformers = pytest.importorskip("transformers")

SMALL = {
    "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip
NAMES = {0: "cat", 1: "dog", 2: "cow"}
X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def vit(**entries: Any) -> Any:
    torch.manual_seed(0)
    return transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL, **entries)).eval()


@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "ablationcam", "occlusion", "saliency", "naflow"])
@pytest.mark.parametrize(
    ("entries", "right"),
    [
        ({"id2label": NAMES}, lambda y: y.softmax(1)),
        ({"id2label": NAMES, "problem_type": "multi_label_classification"}, lambda y: y.sigmoid()),
        ({"num_labels": 3, "output_hidden_states": True}, lambda y: y.softmax(1)),
        ({"num_labels": 1, "problem_type": "regression"}, None),
    ],
)
def test_outputs_of_hugging_face_are_read_as_their_configuration_says(entries: Any, right: Any, method: str) -> None:
    model = vit(**entries)
    with torch.no_grad():
        logits = model(X).logits
    for i, item in enumerate(sightline.explain(model, X, method=method)):
        best = int(logits[i].argmax())
        names = NAMES if "id2label" in entries else {0: "higher value" if right is None else "class 0"}
        assert item.decision.index == best
        assert item.decision.label == names.get(best, f"class {best}")
        assert item.decision.score == pytest.approx(float(logits[i, best]), abs=1e-5)
        chance = None if right is None else pytest.approx(float(right(logits)[i, best]), abs=1e-5)
        assert item.decision.probability == chance
