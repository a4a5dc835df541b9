"""The captioner: its size, its files, its decoding, and its attention in networks of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sightline.errors import InputError, ModelError
from sightline.models.load import load_model
from sightline.tasks.captioning.network.attention import PLAIN, AttentionKind
from sightline.tasks.captioning.network.captioner import Captioner, load_captioner, save_captioner
from sightline.tasks.captioning.network.decoding import Regions, beam, greedy, sampled, word_logs
from sightline.tasks.captioning.network.drop_in import PluggedAttention, on_boxes, plug
from sightline.tasks.captioning.network.geometry import grid_boxes
from sightline.tasks.captioning.network.layers import positions
from sightline.tasks.captioning.network.spec import SPECIAL, CaptionerSpec, preset, published

WORDS = (*SPECIAL, *["a", "red", "blue", "circle", "square", "is", "left", "right", "of", "the", "near", "far"])
SPEC = CaptionerSpec(WORDS, features=6, width=16, heads=2, inner=24, layers=2, longest=7)


@pytest.fixture(scope="module")
def net() -> Captioner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Captioner(SPEC).eval()


@pytest.fixture(scope="module")
def regions() -> Regions:
    chance = torch.Generator().manual_seed(1)
    corner = torch.rand(3, 5, 2, generator=chance) / 2
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = False
    return Regions(torch.randn(3, 5, 6, generator=chance), torch.cat([corner, corner + 0.3], -1), mask)


@pytest.mark.parametrize(("layers", "millions"), [(1, 18.1), (2, 25.5), (4, 40.2), (6, 54.9)])
def test_the_presets_have_the_published_number_of_parameters(layers: int, millions: float) -> None:
    with torch.device("meta"):
        nets = [Captioner(published(name, layers)) for name in ("san", "n-san")]
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert [round(count / 1e6, 1) for count in counts] == [millions, millions]


def test_one_encoder_and_one_decoder_layer_have_the_sizes_of_the_dossier() -> None:
    with torch.device("meta"):
        net = Captioner(published("san", 1))
        geometry = Captioner(published("ng-san", 4))
    assert sum(p.numel() for p in net.encoder.parameters()) == 3_152_384
    assert sum(p.numel() for p in net.decoder.parameters()) == 4_204_032
    assert sum(p.numel() for p in geometry.parameters()) / 1e6 == pytest.approx(41.26, abs=0.01)


def test_an_unknown_preset_is_answered_with_those_that_there_are() -> None:
    assert preset("N-SAN") == AttentionKind("instance", ())
    with pytest.raises(ModelError, match="no captioner 'nsan'; near names: 'n-san'"):
        preset("nsan")


def test_a_word_does_not_see_those_behind_it_and_padding_is_not_seen(net: Captioner, regions: Regions) -> None:
    tokens = torch.tensor([[1, 4, 5, 7], [1, 4, 6, 8], [1, 4, 5, 8]])
    before = net(regions.features, regions.boxes, tokens, regions.mask)
    changed, features = tokens.clone(), regions.features.clone()
    changed[:, 3], features[1, 3:] = 9, 50.0
    after = net(features, regions.boxes, changed, regions.mask)
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-5)
    assert not torch.allclose(before[:, 3], after[:, 3], atol=1e-3)


def test_greedy_is_a_beam_of_one_and_wider_beams_are_at_least_as_likely(net: Captioner, regions: Regions) -> None:
    one, width1 = greedy(net, regions), beam(net, regions, width=1)
    assert torch.equal(one.tokens, width1.tokens)
    assert torch.allclose(one.scores, width1.scores, atol=1e-5)
    assert (beam(net, regions, width=len(WORDS)).scores >= one.scores - 1e-5).all()


def test_a_beam_as_wide_as_all_sentences_has_the_best_of_them(regions: Regions) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = Captioner(replace(SPEC, words=(*SPECIAL, "a", "b", "c"), longest=2)).eval()
    words = [4, 5, 6]
    every = [[3 - 1], *([w, 2] for w in words), *([w, v, 2] for w in words for v in words)]
    padded = torch.tensor([row + [0] * (3 - len(row)) for row in every])
    part = regions[:1]
    repeated = Regions(*(t.expand(len(padded), *t.shape[1:]) for t in (part.features, part.boxes, part.mask)))
    best = word_logs(net, repeated, padded).sum(1).max().detach()
    assert beam(net, part, width=40).scores[0] == pytest.approx(float(best), abs=1e-5)


def test_log_probabilities_of_what_was_written_are_those_of_the_sentence_as_given(
    net: Captioner, regions: Regions
) -> None:
    for sentences in (greedy(net, regions), beam(net, regions, width=3), sampled(net, regions, torch.Generator())):
        ended = (sentences.tokens == net.end).any(1)
        logs = word_logs(net, regions, sentences.tokens)
        assert torch.allclose(logs, sentences.logs, atol=1e-5)
        assert sentences.tokens.shape[1] <= SPEC.longest + 1
        assert not ended.any() or (sentences.tokens[ended][:, -1] <= net.end).all()


def test_sampling_repeats_with_its_seed_and_nears_greedy_as_it_cools(net: Captioner, regions: Regions) -> None:
    drawn = [sampled(net, regions, torch.Generator().manual_seed(5)).tokens for _ in range(2)]
    assert torch.equal(*drawn)
    cold = sampled(net, regions, torch.Generator().manual_seed(6), temperature=1e-6)
    assert torch.equal(cold.tokens, greedy(net, regions).tokens)
    with pytest.raises(InputError, match="temperature is above 0"):
        sampled(net, regions, torch.Generator(), temperature=0)
    with pytest.raises(InputError, match="at least one sentence"):
        beam(net, regions, width=0)


def test_its_file_brings_it_back_and_a_missing_entry_is_an_error(net: Captioner, tmp_path: Path) -> None:
    file = save_captioner(net, tmp_path / "net.safetensors")
    again = load_captioner(file)
    assert again.spec == SPEC
    assert torch.equal(again.output.weight, net.output.weight.half().float())
    assert isinstance(load_model(weights=file).model, Captioner)
    facts = json.loads(SPEC.to_json())
    del facts["attention"]["signed"]
    with pytest.raises(ValueError, match="signed of the attention missing"):
        CaptionerSpec.from_json(json.dumps(facts))
    del facts["longest"]
    with pytest.raises(ValueError, match="longest missing"):
        CaptionerSpec.from_json(json.dumps(facts))


def test_what_does_not_fit_is_refused_in_a_sentence(net: Captioner, regions: Regions) -> None:
    tokens = torch.ones(3, 1, dtype=torch.long)
    with pytest.raises(InputError, match="takes 6 features for each region"):
        net(torch.zeros(3, 5, 7), regions.boxes, tokens)
    with pytest.raises(InputError, match="needs a box of four numbers"):
        net(regions.features, regions.boxes[:, :2], tokens)
    with pytest.raises(InputError, match="without regions cannot be captioned"):
        net(torch.zeros(3, 0, 6), torch.zeros(3, 0, 4), tokens)
    with pytest.raises(InputError, match="without regions cannot be captioned"):
        net(regions.features, regions.boxes, tokens, torch.zeros(3, 5, dtype=torch.bool))
    with pytest.raises(InputError, match="at most 7; shorten it"):
        net(regions.features, regions.boxes, torch.ones(3, 12, dtype=torch.long))


def test_positions_are_sines_and_cosines() -> None:
    table = positions(5, 6)
    assert table[3, 2] == pytest.approx(float(torch.sin(torch.tensor(3 / 10_000 ** (2 / 6)))), abs=1e-6)


def test_plugged_into_torchs_encoder_it_begins_as_the_stack_was_and_then_uses_boxes(regions: Regions) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
        stack = nn.TransformerEncoder(layer, 2).eval()
    padding = ~regions.mask
    before = stack(regions.features, src_key_padding_mask=padding)
    assert plug(stack, AttentionKind("none", ("query",))) == 2
    with on_boxes(stack, regions.boxes):
        after = stack(regions.features, src_key_padding_mask=padding)
    assert torch.allclose(before[regions.mask], after[regions.mask], atol=1e-5)
    nn.init.normal_(stack.layers[0].self_attn.bias.query.weight)
    with on_boxes(stack, regions.boxes):
        moved = stack(regions.features, src_key_padding_mask=padding)
    assert not torch.allclose(moved[regions.mask], after[regions.mask], atol=1e-3)
    with pytest.raises(ModelError, match="where its tokens lie"):
        stack(regions.features)
    with pytest.raises(ModelError, match="cannot be causal"), on_boxes(stack, regions.boxes):
        stack(regions.features, mask=nn.Transformer.generate_square_subsequent_mask(5))


def test_normalised_queries_in_torchs_encoder_do_not_count_the_padding(regions: Regions) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), 2).eval()
    plug(stack, AttentionKind("instance", ()))
    alone = stack(regions.features[1:2, :3])
    padded = stack(regions.features, src_key_padding_mask=~regions.mask)
    assert torch.allclose(alone[0], padded[1, :3], atol=1e-5)


def test_plugged_into_timms_transformer_grid_cells_are_boxes() -> None:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=3).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = vit(x)
    assert plug(vit, AttentionKind("none", ("query",)), grid=(2, 2)) == 2
    assert torch.allclose(vit(x), before, atol=1e-5)
    nn.init.normal_(vit.blocks[0].attn.bias.query.weight)
    assert not torch.allclose(vit(x), before, atol=1e-3)
    with pytest.raises(ModelError, match="boxes came for 5 tokens"), on_boxes(vit, grid_boxes(3, 3)[None]):
        vit(x)


def test_a_pyramid_takes_a_grid_for_each_stage_and_no_common_one() -> None:
    timm = pytest.importorskip("timm")
    small = {"base_dims": (8, 8, 8), "heads": (2, 2, 2), "depth": (1, 1, 1), "mlp_ratio": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = timm.create_model("pit_ti_224", img_size=64, **small).eval(), torch.randn(1, 3, 64, 64)
    before = net(x)
    grids = [(7, 7), (4, 4), (2, 2)]
    for stage, grid in zip(net.transformers, grids, strict=True):
        assert plug(stage, AttentionKind("none", ("query",)), grid=grid) == 1
    assert torch.allclose(net(x), before, atol=1e-5)
    plugged = [module for module in net.modules() if isinstance(module, PluggedAttention)]
    for module in plugged:
        module.boxes, module.grid = grid_boxes(4, 4)[None], (4, 4)
    with pytest.raises(ModelError, match="4 x 4 cells, and an attention sees 50 tokens"):
        net(x)


def bent(net: nn.Module) -> None:
    """Give a plugged network's geometry some weight."""
    for module in net.modules():
        if isinstance(module, PluggedAttention):
            nn.init.normal_(module.bias.query.weight, 0, 0.5)


@pytest.mark.parametrize("name", ["vit_small_patch14_reg4_dinov2", "vit_base_patch16_siglip_224"])
def test_registers_and_pooling_queries_of_timm_have_no_place_and_stay(name: str) -> None:
    timm = pytest.importorskip("timm")
    size = 14 * 3 if "14" in name else 16 * 3
    small = {"embed_dim": 24, "num_heads": 2, "depth": 2, "mlp_ratio": 1, "init_values": None}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = timm.create_model(name, img_size=size, **small).eval(), torch.randn(1, 3, size, size)
        for module in net.modules():  # as after training; DINOv2 begins with next to nothing from each block
            if hasattr(module, "gamma"):
                nn.init.ones_(module.gamma)
        before = net(x)
        assert plug(net, AttentionKind("none", ("query",)), grid=(3, 3)) == 2
        assert torch.allclose(net(x), before, atol=1e-6)
        bent(net)
    assert not torch.allclose(net(x), before, atol=1e-4)


@pytest.mark.parametrize("family", ["ViT", "Dinov2", "SiglipVision", "CLIPVision"])
def test_plugged_into_transformers_of_hugging_face(family: str) -> None:
    hub = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(hub, f"{family}Config")(**sizes, image_size=32, patch_size=8)
        net, x = getattr(hub, f"{family}Model")(config).eval(), torch.randn(2, 3, 32, 32)
        before = net(x).last_hidden_state
        assert plug(net, AttentionKind("none", ("query",)), grid=(4, 4)) >= 2
        assert torch.allclose(net(x).last_hidden_state, before, atol=1e-5)
        bent(net)
    assert not torch.allclose(net(x).last_hidden_state, before, atol=1e-3)


def hub_like(**changes: Any) -> nn.Module:
    """An attention in the form of Hugging Face's, which calls it with `hidden_states`."""
    module = nn.Module()
    module.q_proj, module.k_proj, module.v_proj, module.o_proj = (nn.Linear(16, 16) for _ in range(4))
    module.num_attention_heads, module.is_causal = 2, False
    for name, value in changes.items():
        setattr(module, name, value)
    return nn.ModuleList([module])


def test_attention_in_the_form_of_hugging_face_is_plain_attention_until_it_learns() -> None:
    net = hub_like()
    own, x = net[0], torch.randn(2, 4, 16)
    q, k, v = (part(x).unflatten(-1, (2, 8)).transpose(1, 2) for part in (own.q_proj, own.k_proj, own.v_proj))
    plain = own.o_proj(((q @ k.mT / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2))
    assert plug(net, AttentionKind("none", ("query",)), grid=(2, 2)) == 1
    assert torch.allclose(net[0](hidden_states=x)[0], plain, atol=1e-5)
    with pytest.raises(ModelError, match="takes no attention_mask"):
        net[0](x, torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("changes", [{"is_causal": True}, {"k_proj": nn.Linear(16, 8)}, {"num_attention_heads": 0}])
def test_causal_attention_and_shared_keys_are_not_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no self-attention that can be normalised"):
        plug(hub_like(**changes), grid=(2, 2))


def test_attention_to_other_tokens_stays_as_it_was() -> None:
    net = nn.ModuleList([nn.MultiheadAttention(16, 2, batch_first=True)]).eval()
    query, memory = torch.randn(2, 1, 16), torch.randn(2, 5, 16)
    before = net[0](query, memory, memory)[0]
    plug(net)
    assert torch.allclose(net[0](query, memory, memory)[0], before, atol=1e-6)


def test_a_network_without_such_attention_is_refused() -> None:
    with pytest.raises(ModelError, match="Linear has no self-attention that can be normalised"):
        plug(nn.Linear(2, 2), PLAIN)
