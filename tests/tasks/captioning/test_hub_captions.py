"""Which places a word rests on, in image-to-text models of transformers: cross-attention, and image tokens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

import sightline
from sightline.errors import InputError, TargetError
from sightline.targets import token
from sightline.tasks.captioning.explain.others import caption_of
from sightline.tasks.captioning.explain.page import write_page

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
IMAGE = {"image_size": 32, "patch_size": 8}


def encoder_decoder(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    decoder = hub.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=60, add_cross_attention=True, is_decoder=True)
    vit = hub.ViTModel(hub.ViTConfig(**SIZES, **IMAGE), add_pooling_layer=False)
    model = hub.VisionEncoderDecoderModel(encoder=vit, decoder=hub.GPT2LMHeadModel(decoder))
    return model, {"decoder_input_ids": torch.tensor([[1, 5, 7, 9]])}, 2


def blip(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    numbers = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 2}
    text = {**SIZES, **numbers, "vocab_size": 60, "encoder_hidden_size": 32, "max_position_embeddings": 32}
    config = hub.BlipConfig(text_config=text, vision_config={**SIZES, **IMAGE})
    return hub.BlipForConditionalGeneration(config), {"input_ids": torch.tensor([[1, 5, 7, 9]])}, 2


def llava(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    config = hub.LlavaConfig(
        vision_config=hub.CLIPVisionConfig(**SIZES, **IMAGE),
        text_config=hub.LlamaConfig(**SIZES, num_key_value_heads=2, vocab_size=60),
        image_token_index=59,
        vision_feature_layer=-1,
    )
    tokens = torch.tensor([[1, *[59] * 16, 5, 7, 9]])
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    return hub.LlavaForConditionalGeneration(config), inputs, 18


@pytest.mark.parametrize("build", [encoder_decoder, blip, llava])
def test_a_word_of_an_image_to_text_model_has_a_map_over_the_image(build: Any) -> None:
    hub = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, words, position = build(hub)
        inputs = {"pixel_values": torch.rand(1, 3, 32, 32), **words}
    item = sightline.explain(model.eval(), inputs, target=token(position), method="lrp", progress=False).one()
    assert item.flow.main.shape == (4, 4)
    assert item.flow.main.status == "ok"
    logits = model(**inputs).logits[0, position].detach().log_softmax(0)
    assert item.decision.score == pytest.approx(float(logits.max()), abs=1e-4)
    assert item.decision.label == f"token {int(logits.argmax())}"


def git(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    numbers = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = hub.GitConfig(
        vision_config={**SIZES, **IMAGE}, vocab_size=60, max_position_embeddings=64, **SIZES, **numbers
    )
    return hub.GitForCausalLM(config), {"input_ids": torch.tensor([[1, 5, 7, 9]])}, -2


def paligemma(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    config = hub.PaliGemmaConfig(
        vision_config=hub.SiglipVisionConfig(**SIZES, **IMAGE, projection_dim=32),
        text_config=hub.GemmaConfig(**SIZES, num_key_value_heads=1, head_dim=16, vocab_size=60),
        image_token_index=59,
        projection_dim=32,
        hidden_size=32,
    )
    tokens = torch.tensor([[*[59] * 16, 1, 5, 7, 9]])
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    return hub.PaliGemmaForConditionalGeneration(config), inputs, 18


def trocr(hub: Any) -> tuple[Any, dict[str, torch.Tensor], int]:
    heads = {"decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 48}
    decoder = hub.TrOCRConfig(
        vocab_size=60, d_model=32, max_position_embeddings=32, cross_attention_hidden_size=32, **heads
    )
    vit = hub.ViTModel(hub.ViTConfig(**SIZES, **IMAGE), add_pooling_layer=False)
    model = hub.VisionEncoderDecoderModel(encoder=vit, decoder=hub.TrOCRForCausalLM(decoder))
    return model, {"decoder_input_ids": torch.tensor([[1, 5, 7, 9]])}, 2


def sharpened(model: Any) -> Any:
    """Weights at which attention is not even, as fresh ones leave it."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.normal_(0, 0.25)
    return model.eval()


@pytest.mark.parametrize("build", [encoder_decoder, blip, git, llava, paligemma, trocr])
def test_relevance_of_a_word_stays_on_the_only_patch_that_it_can_see(build: Any) -> None:
    hub = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, words, position = build(hub)
        sharpened(model)

    def only(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        keep = torch.zeros_like(output)
        keep[:, :, 1, 2] = 1  # behind the convolution, the embedding of the patch in row 1, column 2
        return output * keep

    (patches,) = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    patches.register_forward_hook(only)
    inputs, target = {"pixel_values": torch.rand(1, 3, 32, 32), **words}, token(position)
    item = sightline.explain(model, inputs, target=target, method="lrp", layers="input", progress=False).one()
    shares = item.flow.main.values.abs().reshape(4, 8, 4, 8).sum((1, 3))
    assert float(shares[1, 2] / shares.sum()) > 0.999
    for method in ("rollout", "gradrollout"):
        item = sightline.explain(model, inputs, target=target, method=method, progress=False).one()
        assert (item.flow.main.shape, item.flow.main.status) == ((4, 4), "ok")


def test_words_of_generate_are_asked_about_one_by_one() -> None:
    hub = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _, _ = encoder_decoder(hub)
        sharpened(model)
    picture = torch.rand(1, 3, 32, 32)
    model.generation_config.update(decoder_start_token_id=1, pad_token_id=0, eos_token_id=None, bos_token_id=1)
    words = model.generate(pixel_values=picture, max_new_tokens=5, do_sample=False)
    inputs = hub.BatchFeature({"pixel_values": picture, "decoder_input_ids": words})
    for k in range(words.shape[1] - 1):
        item = sightline.explain(model, inputs, target=token(k), method="rollout", progress=False).one()
        assert item.decision.label == f"token {int(words[0, k + 1])}"
        assert item.flow.main.status == "ok"


@pytest.mark.parametrize("build", [encoder_decoder, llava])
def test_words_of_others_are_drawn_on_the_page_of_a_caption(build: Any, tmp_path: Path) -> None:
    hub = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, words, position = build(hub)
        inputs = {"pixel_values": torch.rand(1, 3, 32, 32), **words}
    places = (position - 1, position)
    items = [
        sightline.explain(model.eval(), inputs, target=token(k), method="rollout", progress=False).one()
        for k in places
    ]
    caption = caption_of(items, ("red", "<b>"))
    assert caption.logs == pytest.approx([item.decision.score for item in items])
    assert caption.weights[1] == pytest.approx(items[1].flow.main.values.flatten().tolist())
    assert caption.boxes[5] == (0.25, 0.25, 0.5, 0.5)
    page = write_page(tmp_path / "page", caption, Image.new("RGB", (32, 32))).read_text()
    assert page.count('class="region') == 16
    assert "&lt;b&gt;" in page
    with pytest.raises(InputError, match="2 explanations came for 1 words"):
        caption_of(items, ("red",))


def test_fine_maps_of_others_are_averaged_and_maps_of_words_refused() -> None:
    def item(*shape: int) -> Any:
        values = torch.arange(torch.Size(shape).numel()).reshape(shape).float()
        main, decision = SimpleNamespace(values=values), SimpleNamespace(score=-1.0, label="token 3")
        return SimpleNamespace(flow=SimpleNamespace(main=main), decision=decision, method="lrp")

    caption = caption_of([item(32, 64)], ["cat"])
    assert len(caption.boxes) == 16 * 16
    assert caption.weights[0][:2] == (33.5, 37.5)
    assert not caption.sinks
    first, second = item(4, 4), item(4, 4)
    for own, cell in ((first, 3), (second, 9)):
        own.flow.main.values = torch.ones(4, 4)
        own.flow.main.values.view(-1)[[6, cell]] = 8.0
    both = caption_of([first, second], ["red", "cat"])
    assert both.sinks == (6,)
    assert "all words attend to region 7 alike" in both.notes[0]
    assert not caption_of([first], ["red"]).sinks
    with pytest.raises(InputError, match="needs a map over the picture"):
        caption_of([item(7)], ["cat"])


def test_a_token_is_read_with_its_name_and_fixed_for_changed_outputs() -> None:
    output = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    readout = token(1, 4, words="abcde", score="logit").read(output, None)
    assert torch.equal(readout.scores, output[:, 1, 4:5])
    assert readout.labels == (("e",), ("e",))
    best = token(-1).frozen(output, None)
    changed = best.rows(slice(1, 2)).read(-output[1:], None)
    assert changed.labels == ((f"token {int(output[1, -1].argmax())}",),)
    assert float(changed.scores) == pytest.approx(float((-output[1, -1]).log_softmax(0)[output[1, -1].argmax()]))


@pytest.mark.parametrize(
    ("target", "shape", "words"),
    [
        (token(3), (1, 3, 5), "no position 3 in an output of 3 positions"),
        (token(0, 9), (1, 3, 5), "no token 9 in a vocabulary of 5"),
        (token(0), (1, 5), r"logits \[batch, positions, vocabulary\]"),
        (token(0, score="probability"), (1, 3, 5), "'logit' or its 'log-softmax', not 'probability'"),
    ],
)
def test_a_token_that_is_not_there_is_refused(target: Any, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(TargetError, match=words):
        target.read(torch.zeros(shape), None)
