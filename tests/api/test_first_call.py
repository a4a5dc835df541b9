"""What the first maps of a process load: each library takes longer than the maps."""

import subprocess
import sys

CODE = """
import sys
import torch
import sightline
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
sightline.explain(model, torch.rand(1, 3, 16, 16), method=["gradcam", "lrp", "naflow"])
sys.exit(", ".join({"matplotlib", "torch._dynamo", "torchvision", "timm", "lightning"} & set(sys.modules)) or 0)
"""


def test_the_first_maps_load_neither_a_compiler_nor_what_draws_nor_networks():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
