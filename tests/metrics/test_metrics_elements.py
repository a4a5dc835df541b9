"""Elements of every domain, ranks, ties, baselines and the in-painting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline.errors import InputError
from sightline.metrics import blur, filler, impute, lay, on_grid, ranks, spearman
from sightline.results import Domain

NEIGHBOURS = [
    (dy, dx, 1 / 6 if 0 in (dy, dx) else 1 / 12) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
]


@pytest.mark.parametrize(
    ("kind", "map_shape", "input_shape"),
    [
        ("image", (2, 3, 4), (2, 3, 3, 4)),
        ("space-time", (2, 2, 3, 4), (2, 3, 2, 3, 4)),
        ("spectrogram", (2, 5, 6), (2, 5, 6)),
        ("spectrogram", (2, 5, 6), (2, 1, 5, 6)),
        ("words", (2, 7), (2, 7)),
        ("regions", (2, 7), (2, 7, 16)),
        ("fields", (2, 7), (2, 7)),
    ],
)
def test_every_domain_hides_exactly_the_chosen_element(
    kind: str, map_shape: tuple[int, ...], input_shape: tuple[int, ...]
) -> None:
    inputs, maps = torch.ones(input_shape), torch.rand(map_shape)
    values, elements = lay(maps, inputs, domain=Domain(kind))  # type: ignore[arg-type]
    hidden = elements.spread(torch.eye(elements.count, dtype=torch.bool)[[elements.count - 1, 0]])
    left = filler("zero", inputs, elements)(torch.arange(2), hidden)
    per_element = inputs[0].numel() // maps[0].numel()
    assert (left == 0).flatten(1).sum(1).tolist() == [per_element, per_element]
    assert torch.equal(values, maps.flatten(1))
    last = left[0].reshape(-1)[-1]
    assert last == 0


def test_token_ids_are_replaced_by_the_mask_token() -> None:
    ids = torch.tensor([[5, 6, 7]])
    _, elements = lay(torch.rand(1, 3), ids, domain=Domain("words"))
    hidden = elements.spread(torch.tensor([[False, True, False]]))
    assert filler(103, ids, elements)(torch.tensor([0]), hidden).tolist() == [[5, 103, 7]]
    with pytest.raises(InputError, match="mask token"):
        filler("mean", ids, elements)


def test_cells_delete_blocks_and_the_input_grid_deletes_pixels() -> None:
    maps, inputs = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), torch.ones(1, 1, 4, 4)
    values, cells = lay(maps, inputs, domain=Domain(), grid="cells")
    assert values.shape == (1, 4)
    block = cells.spread(torch.tensor([[True, False, False, False]]))[0, 0]
    assert block.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert lay(maps, inputs, domain=Domain())[0].shape == (1, 16)


def test_cells_of_an_uneven_grid_cover_the_input_once() -> None:
    _, cells = lay(torch.rand(1, 3, 3), torch.ones(1, 1, 7, 8), domain=Domain(), grid="cells")
    each = cells.spread(torch.eye(9, dtype=torch.bool))
    assert torch.equal(each.sum((0, 1)), torch.ones(7, 8, dtype=torch.long))
    assert each.flatten(1).any(1).all()


def test_enlarging_is_bilinear_with_pixel_centres_at_half() -> None:
    line = on_grid(torch.tensor([[[0.0, 1.0]]]), (1, 4))[0, 0]
    assert line.tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0])


def test_ranks_by_hand_and_ties_do_not_favour_a_corner() -> None:
    assert ranks(torch.tensor([[0.1, 0.9, 0.5]])).tolist() == [[2, 0, 1]]
    assert ranks(torch.tensor([[1.0, 3.0, 3.0, 2.0]]), seed=None).tolist() == [[3, 0, 1, 2]]
    tied = ranks(torch.zeros(2, 4096))
    assert sorted(tied[0].tolist()) == list(range(4096))
    assert torch.equal(tied[0], tied[1])
    assert abs(float(tied[0, :2048].double().mean()) - 2047.5) < 100


def test_spearman_shares_ranks_among_ties_by_hand() -> None:
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5 over the root of 4.5 * 5
    found = spearman(torch.tensor([[1.0, 5.0, 5.0, 9.0]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert float(found) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert torch.isnan(spearman(torch.ones(1, 4), torch.rand(1, 4))).all()


def test_baselines_by_hand() -> None:
    inputs = torch.tensor([[[[1.0, 3.0]], [[5.0, 9.0]]]])
    _, elements = lay(torch.rand(1, 1, 2), inputs, domain=Domain())
    everything = torch.ones(1, 1, 1, 2, dtype=torch.bool)

    def hidden(baseline: object) -> list[float]:
        return filler(baseline, inputs, elements)(torch.tensor([0]), everything).flatten().tolist()  # type: ignore[arg-type]

    assert hidden("mean") == [2.0, 2.0, 7.0, 7.0]
    assert hidden("zero") == [0.0] * 4
    assert hidden(0.5) == [0.5] * 4
    assert hidden(torch.tensor([[[7.0]], [[8.0]]])) == [7.0, 7.0, 8.0, 8.0]
    assert hidden(lambda x: -x) == [-1.0, -3.0, -5.0, -9.0]


def test_unknown_baselines_and_shapes_are_said_in_words() -> None:
    inputs = torch.rand(1, 3, 4, 4)
    _, elements = lay(torch.rand(1, 4, 4), inputs, domain=Domain())
    with pytest.raises(InputError, match="near names: 'blur'"):
        filler("blurr", inputs, elements)
    with pytest.raises(InputError, match="does not broadcast"):
        filler(torch.rand(5), inputs, elements)
    with pytest.raises(InputError, match="maps over 'image'"):
        lay(torch.rand(1, 4), inputs, domain=Domain())
    with pytest.raises(InputError, match="cannot lie over"):
        lay(torch.rand(1, 4), torch.rand(1, 5), domain=Domain("words"))
    words = lay(torch.rand(1, 4), torch.rand(1, 4), domain=Domain("words"))[1]
    with pytest.raises(InputError, match="in-paints pictures"):
        filler("road", torch.rand(1, 4), words)


def test_blur_equals_a_naive_convolution_and_keeps_constants() -> None:
    x = torch.rand(1, 1, 1, 20, dtype=torch.float64)
    sigma, reach = 0.1 * 20, 6
    kernel = [np.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    padded = np.pad(x[0, 0, 0].numpy(), reach, mode="reflect")
    naive = [sum(w * padded[i + k] for k, w in enumerate(kernel)) / sum(kernel) for i in range(20)]
    assert blur(x, axes=(3,), width=0.1)[0, 0, 0].tolist() == pytest.approx(naive)
    assert torch.allclose(blur(torch.ones(1, 2, 9, 11), axes=(2, 3)), torch.ones(1, 2, 9, 11))


def naive_imputation(picture: Tensor, hidden: Tensor) -> Tensor:
    """The system of the paper, dense, one picture and channel at a time."""
    height, width = picture.shape
    places = [tuple(place) for place in hidden.nonzero().tolist()]
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for row, (y, x) in enumerate(places):
        for dy, dx, weight in NEIGHBOURS:
            there = (y + dy, x + dx)
            if not (0 <= there[0] < height and 0 <= there[1] < width):
                continue
            matrix[row, row] += weight
            if bool(hidden[there]):
                matrix[row, places.index(there)] -= weight
            else:
                right[row] += weight * float(picture[there])
    filled = picture.clone()
    filled[hidden] = torch.tensor(np.linalg.solve(matrix, right), dtype=picture.dtype)
    return filled


@pytest.mark.parametrize("size", [(9, 13), (16, 16), (1, 7)])
def test_in_painting_equals_the_dense_system(size: tuple[int, int]) -> None:
    pictures = torch.randn(3, 2, *size, dtype=torch.float64)
    hidden = torch.rand(3, 1, *size) < torch.tensor([0.3, 0.8, 0.95])[:, None, None, None]
    hidden[:, 0, 0, 0] = False
    found = impute(pictures, hidden, noise=0, tolerance=1e-12, iterations=500)
    for row in range(3):
        for channel in range(2):
            naive = naive_imputation(pictures[row, channel], hidden[row, 0])
            assert torch.allclose(found[row, channel], naive, atol=1e-8)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_in_painting_leaves_of_the_error_is_a_fifth_of_its_noise_at_most(share: float) -> None:
    draw = torch.Generator().manual_seed(0)
    enlarge = {"size": (48, 48), "mode": "bilinear"}
    picture = torch.nn.functional.interpolate(2 * torch.randn(1, 1, 12, 12, generator=draw), **enlarge)
    map_ = torch.nn.functional.interpolate(torch.rand(1, 1, 7, 7, generator=draw), **enlarge).flatten(1)
    hidden = (map_ > map_.quantile(1 - share, dim=1, keepdim=True)).reshape(1, 1, 48, 48)
    found = impute(picture, hidden, noise=0)
    exact = naive_imputation(picture[0, 0].double(), hidden[0, 0])
    gap = (found[0, 0] - exact)[hidden[0, 0]]
    assert float(gap.square().mean().sqrt()) < 0.01 / 5


def test_in_painting_by_hand() -> None:
    cross = torch.tensor([[1.0, 2.0, 1.0], [4.0, 0.0, 2.0], [1.0, 2.0, 1.0]])[None, None]
    middle = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    middle[..., 1, 1] = True
    # neighbours of weight 1/6 at 2, 2, 2 and 4, and four of weight 1/12 at 1
    assert float(impute(cross, middle, noise=0)[0, 0, 1, 1]) == pytest.approx(10 / 6 + 4 / 12, abs=1e-4)


def test_in_painting_keeps_what_is_visible_and_adds_noise_of_the_given_size() -> None:
    # another stream than the noise of seed 0, or the mask would choose the noise
    chosen = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(9)) < 0.5
    pictures, hidden = torch.zeros(2, 1, 64, 64), chosen
    found = impute(pictures, hidden, noise=0.01)
    assert torch.equal(found[~hidden], pictures[~hidden])
    assert float(found[hidden].std()) == pytest.approx(0.01, rel=0.1)
    assert torch.equal(found, impute(pictures, hidden, noise=0.01))


def test_a_picture_that_is_hidden_entirely_gets_its_mean() -> None:
    pictures = torch.rand(2, 3, 8, 8)
    hidden = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    hidden[1, 0, 0, 0] = False
    found = impute(pictures, hidden, noise=0)
    assert torch.allclose(found[0], pictures[0].mean((1, 2), keepdim=True).expand(3, 8, 8), atol=1e-5)
    assert torch.allclose(found[1], pictures[1, :, :1, :1].expand(3, 8, 8), atol=1e-2)
