"""The renderer of thumbnails: the right thing at the right place, nearest in front, without holes."""

import numpy as np
import pytest

from watcher.emulator.convert.raster import Look, Surface, render_points, render_surfaces

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1)


def square(z: float, look: Look, size: float = 1.0) -> Surface:
    positions = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float) * size + (0, 0, z)
    uvs = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    return Surface(positions, np.array([[0, 1, 2], [0, 2, 3]], np.uint32), None, uvs, None, look)


def colors(picture: np.ndarray) -> np.ndarray:
    """Red minus green of each pixel: positive where red is seen."""
    return picture[:, :, 0].astype(int) - picture[:, :, 1]


def test_what_is_nearer_hides_what_is_behind() -> None:
    # The small red square stands before the middle of the green one, as the viewer looks from positive z.
    for order in (1, -1):
        surfaces = [square(0.0, Look(GREEN)), square(0.5, Look(RED), 0.4)][::order]
        seen = colors(render_surfaces(surfaces, 64))
        assert seen[32, 32] > 50
        assert (seen < -50).sum() > (seen > 50).sum() > 50
    behind = colors(render_surfaces([square(0.0, Look(GREEN)), square(-0.1, Look(RED), 0.3)], 64))
    assert (behind > 20).sum() == 0


def test_neighbouring_triangles_leave_no_seam() -> None:
    count = 40
    x, y = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count))
    positions = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
    index = np.arange(count * count).reshape(count, count)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.uint32)
    whole = render_surfaces([Surface(positions, triangles, None, None, None, Look(RED))], 128)
    seen = colors(whole) > 40
    for row in seen:
        inside = np.flatnonzero(row)
        assert len(inside) == 0 or row[inside[0] : inside[-1] + 1].all()
    assert seen.sum() > 128 * 128 * 0.4


def test_the_object_fills_the_picture_whatever_its_size() -> None:
    for scale in (1e-12, 1.0, 1e12):
        surface = square(0.0, Look(RED))
        surface.positions *= scale
        rows, columns = np.nonzero(colors(render_surfaces([surface], 64)) > 40)
        assert max(np.ptp(rows), np.ptp(columns)) > 50


def test_a_texture_is_seen_the_right_way_up() -> None:
    texture = np.zeros((3, 2, 2), np.float32)
    texture[0, 0, :] = 1.0  # the upper row red
    texture[1, 1, :] = 1.0  # the lower row green
    seen = colors(render_surfaces([square(0.0, Look((1.0, 1.0, 1.0), texture=texture))], 64))
    assert np.nonzero(seen > 50)[0].mean() < np.nonzero(seen < -50)[0].mean()


def test_what_glows_shows_its_texture() -> None:
    glow = np.zeros((3, 2, 2), np.float32)
    glow[0, 0, :] = 1.0
    glow[1, 1, :] = 1.0
    look = Look((0.0, 0.0, 0.0), emission=(1.0, 1.0, 1.0), glow=glow)
    seen = colors(render_surfaces([square(0.0, look)], 64))
    assert np.nonzero(seen > 50)[0].mean() < np.nonzero(seen < -50)[0].mean()


def test_a_smooth_surface_is_lit_evenly_up_to_its_rim_and_alike_from_both_sides() -> None:
    # On the right, the normals lean away from the viewer.
    front, aside = (0.5, 0.4, 0.8), (-0.8, 0.2, 0.3)
    normals = np.array([front, aside, aside, front], np.float32)
    surface = square(0.0, Look(RED))
    surface.normals = normals
    row = render_surfaces([surface], 64)[32, :, 0].astype(int)
    inside = np.flatnonzero(colors(render_surfaces([surface], 64))[32] > 20)
    assert np.abs(np.diff(row[inside[2] : inside[-2]])).max() < 15
    for turned in (np.array([[0, 2, 1], [0, 3, 2]], np.uint32), surface.triangles):
        other = square(0.0, Look(RED))
        other.normals, other.triangles = -normals, turned
        assert (render_surfaces([other], 64) == render_surfaces([surface], 64)).mean() > 0.98


def test_a_surface_seen_from_the_edge_draws_nothing_and_does_not_fail() -> None:
    line = Surface(np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]], float), np.array([[0, 1, 2]]), None, None, None, Look())
    assert render_surfaces([line], 32).std() < 15


@pytest.mark.parametrize("count", [1, 5, 20_000])
def test_points_are_drawn_in_their_colours(count: int) -> None:
    positions = np.random.default_rng(1).normal(size=(count, 3))
    red = np.tile(np.array([255, 0, 0, 255], np.uint8), (count, 1))
    seen = colors(render_points(positions, red, 64))
    assert (seen > 60).sum() >= min(count, 500)
