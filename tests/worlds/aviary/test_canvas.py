import numpy as np
import pytest

from sightline.worlds.aviary.canvas import Canvas, Frame, edge, smooth

TRIANGLE = ((0.0, 0.0), (1.0, 0.2), (0.4, 0.9))


def test_a_smooth_curve_passes_through_its_points() -> None:
    np.testing.assert_allclose(smooth(TRIANGLE, 5)[::5], np.array(TRIANGLE), atol=1e-6)
    line = smooth(((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)), 4)
    np.testing.assert_allclose(line[4:8, 0], [1.0, 1.25, 1.5, 1.75], atol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
def test_bird_coordinates_of_a_pixel_are_the_inverse_of_placing(mirror) -> None:
    frame = Frame(20.0, 14.0, 9.0, 30.0, mirror)
    region = Canvas(16, 3).region(frame.place(np.array(TRIANGLE, np.float32)))
    along, down = frame.grid(region)
    rows, columns = np.indices(region.mask.shape)
    back = frame.place(np.stack([along.ravel(), down.ravel()], 1))
    np.testing.assert_allclose(back[:, 0], columns.ravel() + region.left, atol=1e-4)
    np.testing.assert_allclose(back[:, 1], rows.ravel() + region.top, atol=1e-4)


def test_a_turn_leaves_its_pivot_in_place() -> None:
    frame = Frame(20.0, 14.0, 9.0, 30.0, True)
    pivot = np.array([[0.4, -0.3]], np.float32)
    turned = frame.turned((0.4, -0.3), 25.0)
    np.testing.assert_allclose(turned.place(pivot), frame.place(pivot), atol=1e-4)
    assert np.abs(turned.place(-pivot) - frame.place(-pivot)).max() > 1


def test_a_region_is_cut_to_the_canvas_and_to_another_region() -> None:
    canvas = Canvas(10, 1)
    square = canvas.region(np.array([[-5, -5], [5, -5], [5, 5], [-5, 5]], np.float32))
    assert (square.top, square.left, square.mask.shape) == (0, 0, (6, 6))
    inner = canvas.region(np.array([[3, 2], [9, 2], [9, 8], [3, 8]], np.float32), square)
    whole = np.zeros((10, 10), bool)
    whole[inner.window] = inner.mask
    assert {tuple(place) for place in np.argwhere(whole)} == {(r, c) for r in range(2, 6) for c in range(3, 6)}
    triangle = canvas.region(np.array([[0, 0], [9, 0], [0, 9]], np.float32))
    corner = canvas.region(np.array([[2, 2], [9, 2], [9, 9], [2, 9]], np.float32), triangle)
    np.testing.assert_array_equal(corner.mask, triangle.mask[2:, 2:])
    assert 0 < corner.mask.mean() < 1
    nothing = canvas.region(np.array([[30, 30], [40, 30], [40, 40]], np.float32))
    assert not nothing.mask.any()
    canvas.paint(nothing, np.array([1, 2, 3], np.uint8), 1)


def test_reduction_is_the_mean_of_the_samples() -> None:
    canvas = Canvas(4, 3)
    region = canvas.region(np.array([[1, 1], [7, 2], [4, 9]], np.float32))
    canvas.paint(region, np.array([90, 180, 30], np.uint8), 2)
    colour, alpha = canvas.reduced()
    blocks = (canvas.parts == 2).reshape(4, 3, 4, 3).mean((1, 3))
    np.testing.assert_allclose(alpha[..., 0], blocks, atol=1 / 255)
    np.testing.assert_allclose(colour, blocks[..., None] * np.array([90, 180, 30]) / 255, atol=1 / 255)


def test_an_edge_is_what_has_a_stranger_within_reach() -> None:
    mask = np.ones((7, 7), bool)
    np.testing.assert_array_equal(edge(mask, 1), np.pad(np.zeros((5, 5), bool), 1, constant_values=True))
    assert edge(np.ones((2, 2), bool), 1).all()
