"""Detectors, segmenters and two towers of transformers and open_clip, built small from configurations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline import targets

NAMES = {0: "ant", 1: "bee", 2: "owl", 3: "cat"}
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def hub() -> Any:
    return pytest.importorskip("transformers")


def pictures(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def spread(model: nn.Module) -> Any:
    """The same weights every time, spread out so that scores differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return model.eval()


def watched(model: nn.Module, path: str, x: Tensor) -> tuple[Tensor, Any]:
    """What a module gives, and what the model returns."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        kept.append(output if isinstance(output, Tensor) else output[0])

    handle = model.get_submodule(path).register_forward_hook(keep)
    raw = model(x)
    handle.remove()
    return kept[0], raw


def gradcam(A: Tensor, score: Tensor) -> Tensor:
    (G,) = torch.autograd.grad(score, A)
    return (G.mean((2, 3), keepdim=True) * A).sum(1).relu()[0].detach()


def detr(hub: Any) -> Any:
    backbone = hub.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = hub.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=16,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, num_queries=6, id2label=NAMES,
    )  # fmt: skip
    return spread(hub.DetrForObjectDetection(config))


def test_a_box_of_detr_is_that_of_plain_pytorch(hub: Any) -> None:
    model, x, path = detr(hub), pictures()[:1], "model.backbone.model.encoder.stages.1"
    A, raw = watched(model, path, x.clone().requires_grad_())  # the backbone itself is frozen
    chances = raw.logits[0].softmax(1)[:, 2]
    w, h = raw.pred_boxes[0, :, 2] * 64, raw.pred_boxes[0, :, 3] * 64
    left, top = raw.pred_boxes[0, :, 0] * 64 - w / 2, raw.pred_boxes[0, :, 1] * 64 - h / 2
    inside = ((left + w).clamp(max=50) - left.clamp(min=10)).clamp(min=0)
    inside = inside * ((top + h).clamp(max=60) - top.clamp(min=20)).clamp(min=0)
    n = int((inside / (w * h + 40 * 40 - inside) * chances).argmax())
    expected = gradcam(A, raw.logits[0, n, 2])
    item = sightline.explain(
        model, x, target=targets.box((10, 20, 50, 60), "owl"), method="gradcam", layers=[path]
    ).one()
    assert item.decision.score == pytest.approx(raw.logits[0, n, 2].item(), rel=1e-5)
    assert item.decision.probability == pytest.approx(chances[n].item(), rel=1e-5)
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("method", ["lrp", "layercam", "scorecam", None])
def test_detr_and_yolos_answer_with_their_own_layers(hub: Any, method: str | None) -> None:
    yolos = hub.YolosConfig(**SMALL, image_size=[64, 64], patch_size=16, num_detection_tokens=6, id2label=NAMES)
    for model in (detr(hub), spread(hub.YolosForObjectDetection(yolos))):
        options = {"groups": 3} if method == "scorecam" else None
        items = sightline.explain(model, pictures(), target=targets.box("top2"), method=method, options=options)
        assert len(items) == 4
        assert all(item.decision.label.split()[0] in NAMES.values() for item in items)
        assert all("decoder" not in layer for layer in items[0].flow.layers)
        assert any(one.status == "ok" for one in items[0].flow.maps)


def test_a_segment_of_segformer_is_that_of_plain_pytorch(hub: Any) -> None:
    config = hub.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3],
        strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, id2label=NAMES,
    )  # fmt: skip
    model, x = spread(hub.SegformerForSemanticSegmentation(config)), pictures()[:1]
    logits = model(x).logits
    index = int(logits.argmax(1).flatten().bincount().argmax())
    item = sightline.explain(model, x, target=targets.segment(NAMES[index]), method="lrp").one()
    assert item.decision.score == pytest.approx(
        logits[0, index][logits[0].argmax(0) == index].mean().item(), rel=1e-4
    )
    mask = torch.zeros(64, 64)
    mask[:32] = 1
    upper = sightline.explain(model, x, target=targets.segment("bee", region=mask), method="gradcam").one()
    assert upper.decision.score == pytest.approx(logits[0, 1, :8].mean().item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_sentence_of_transformers_towers_is_their_own_cosine(hub: Any, kind: str) -> None:
    from tests.towers import HuggingTokenizer

    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    text = {**SMALL, "vocab_size": 50, "max_position_embeddings": 12, "bos_token_id": 1, "eos_token_id": 2}
    config = getattr(hub, f"{kind}Config")(vision_config=vision, text_config={**text, "pad_token_id": 0})
    model, x = spread(getattr(hub, f"{kind}Model")(config)), pictures(32)
    sentences = ["a photo of a cat", "the dog"]
    items = sightline.explain(model, x, target=targets.text(sentences, tokenizer=HuggingTokenizer()))
    padding = {"padding": "max_length", "max_length": 12} if kind == "Siglip" else {"padding": True}
    tokens = HuggingTokenizer()(sentences, return_tensors="pt", **padding)
    del tokens["token_type_ids"]
    with torch.no_grad():
        out = model(pixel_values=x, **tokens)
    scale = model.logit_scale.exp()
    bias = model.logit_bias if kind == "Siglip" else 0
    scores = torch.tensor([item.decision.score for item in items]).reshape(2, 2)
    assert torch.allclose(scores * scale + bias, out.logits_per_image, atol=1e-4)
    chances = out.logits_per_image.sigmoid() if kind == "Siglip" else out.logits_per_image.softmax(1)
    assert [item.decision.probability for item in items] == pytest.approx(chances.flatten().tolist(), abs=1e-5)
    assert all(layer.startswith("vision_model") for layer in items[0].flow.layers)
    assert len(items[0].flow.layers) > 1


def test_a_sentence_of_open_clip_is_its_own_cosine() -> None:
    open_clip = pytest.importorskip("open_clip")
    words = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vit = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    resnet = {"image_size": 64, "layers": (1, 1, 1, 1), "width": 8, "head_width": 16, "patch_size": None}
    for vision, side in ((vit, 32), (resnet, 64)):
        torch.manual_seed(0)
        model, x = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=words).eval(), pictures(side)
        sentences = ["a photo of a cat", "a dog"]
        items = sightline.explain(model, x, target=targets.text(sentences), method=["lrp", "gradcam"])
        with torch.no_grad():
            images, texts = model.encode_image(x), model.encode_text(open_clip.tokenize(sentences))
        cosines = (F.normalize(images) @ F.normalize(texts).T).flatten().tolist()
        assert [item.decision.score for item in items[::2]] == pytest.approx(cosines, abs=1e-5)
        assert all(layer.startswith("visual") for layer in items[0].flow.layers)
