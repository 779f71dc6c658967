"""Figures: the numbers they state, the colours they use, and what they refuse."""

import IPython.display
import numpy as np
import PIL.Image
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from otlib import viz
from otlib.measures.matching import sliced_matching
from otlib.measures.measure import Measure, barycentres, varifold
from otlib.phonemes import Phoneme
from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.phong_tessellation import PhongTessellation
from tests.fixtures.talking_ball import RADIUS, ball, talk

PHONEMES = [
    Phoneme("m", 0.0, 0.2),
    Phoneme("ˈaː", 0.2, 0.6),
    Phoneme("b", 0.6, 0.7),
]


def texts(figure):
    """All words in a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_triptych_states_the_error_in_mm(gl):
    vertices, faces, parts = ball()
    predicted = vertices.copy()
    predicted[:, 0] += 0.002
    figure = viz.head_triptych(vertices, predicted, Topology(faces, parts=parts))
    assert "largest 2.00 mm, mean 2.00 mm" in texts(figure)
    assert "50 mm" in texts(figure)  # the scale bar: the ball is 200 mm wide
    with pytest.raises((ValueError, TypeError), match="predicted"):  # annotations are checked first
        viz.head_triptych(vertices, predicted[:-1], Topology(faces))


def test_scale_bar_is_as_long_as_it_says(gl):
    vertices, faces, _ = ball()
    figure = viz.head_triptych(vertices, vertices, Topology(faces))
    panel = figure.axes[0]
    bar = panel.lines[0].get_xdata()
    picture = panel.images[0].get_array().astype(int)
    ball_columns = np.nonzero((np.abs(picture - picture[0, 0]).max(-1) > 3).any(0))[0]
    mm_per_pixel = 2e3 * RADIUS / (np.ptp(ball_columns) + 1)
    assert (bar[1] - bar[0]) * mm_per_pixel == pytest.approx(50, rel=0.02)


def test_film_strip_marks_the_closures():
    pictures = [np.full((30, 20, 3), 40 * n, np.uint8) for n in range(3)]
    figure = viz.film_strip(
        pictures, [0.0, 0.1, 0.25], ["ˈa", "m", ""], rows=[pictures], row_names=["true", "predicted"]
    )
    words = texts(figure)
    assert "0.25 s" in words
    assert "–" in words
    bold = [t.get_text() for t in figure.findobj(lambda a: getattr(a, "get_fontweight", str)() == "bold")]
    assert [word for word in bold if word] == ["true", "m", "predicted"]
    with pytest.raises(ValueError, match="times and rows"):
        viz.film_strip(pictures, [0.0, 0.1])
    with pytest.raises(ValueError, match="phonemes: 1"):
        viz.film_strip(pictures, [0.0, 0.1, 0.2], ["a"])
    with pytest.raises(ValueError, match="row_names: 1"):
        viz.film_strip(pictures, [0.0, 0.1, 0.2], rows=[pictures], row_names=["true"])


def test_loss_curves_keep_the_values_and_refuse_zero():
    steps = np.arange(100)
    values = np.exp(-steps / 20.0)
    figure = viz.loss_curves({"velocity": (steps, values), "validation": (steps[::10], values[::10])}, window=9)
    thin, bold, validation = figure.axes[0].lines
    np.testing.assert_array_equal(thin.get_ydata(), values)
    np.testing.assert_allclose(bold.get_ydata(), np.exp(-bold.get_xdata() / 20.0))  # an exponential stays where it is
    np.testing.assert_array_equal(validation.get_ydata(), values[::10])
    assert figure.axes[0].get_yscale() == "log"
    with pytest.raises(ValueError, match="velocity: a logarithmic axis"):
        viz.loss_curves({"velocity": (steps, 0.0 * values)})
    with pytest.raises(ValueError, match="velocity: 100 steps and 3 values"):
        viz.loss_curves({"velocity": (steps, values[:3])})


def test_lip_gap_shades_the_closures():
    times = np.arange(20) / 25
    true, predicted = np.abs(np.sin(9 * times)), np.abs(np.sin(8 * times))
    figure = viz.lip_gap_curves(times, true, predicted, PHONEMES, others={"mean style": true / 2})
    axes = figure.axes[0]
    shaded = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
    np.testing.assert_allclose(shaded, [(0.0, 0.2), (0.6, 0.1)])
    colours = {line.get_label(): to_hex(line.get_color()).upper() for line in axes.lines}
    assert (colours["true"], colours["predicted"]) == (palette.TRUE, palette.PREDICTED)
    alone = viz.lip_gap_curves(times, None, predicted)
    assert [line.get_label() for line in alone.axes[0].lines] == ["predicted"]
    keys = np.arange(20) % 3 == 0
    dots = viz.lip_gap_curves(times, None, predicted, keys=keys).axes[0].lines[-1]
    assert dots.get_label() == "key frames" and dots.get_linestyle() == "None"
    np.testing.assert_array_equal(dots.get_xydata(), np.stack([times[keys], predicted[keys]], 1))
    with pytest.raises(ValueError, match="keys: 19 values"):
        viz.lip_gap_curves(times, None, predicted, keys=keys[1:])
    dots = viz.lip_gap_curves(times, true, predicted, keys=keys).axes[0].lines[-1]
    np.testing.assert_array_equal(dots.get_xydata(), np.stack([times[keys], true[keys]], 1))
    with pytest.raises(ValueError, match="predicted: 19 values"):
        viz.lip_gap_curves(times, true, predicted[1:])
    with pytest.raises(ValueError, match="at least one"):
        viz.lip_gap_curves(times, None, None)


def test_interval_plot_holds_values_within_intervals():
    low, middle, high = np.array([1.0, 2.0]), np.array([1.5, 2.5]), np.array([1.8, 3.1])
    figure = viz.interval_plot(["template", "OT-Talk"], middle, low, high, "error (mm)", highlighted=["OT-Talk"])
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    np.testing.assert_array_equal(bars, np.stack([low, high], 1))
    with pytest.raises(ValueError, match=r"template: 1\.5 lies outside"):
        viz.interval_plot(["template", "OT-Talk"], middle, low, low, "error (mm)")
    with pytest.raises(ValueError, match="expected 1 as names"):
        viz.interval_plot(["template"], middle, low, high, "error (mm)")


def test_interval_plot_of_differences_marks_zero_and_every_seed():
    low, middle, high = np.array([-0.1, 0.2]), np.array([0.1, 0.3]), np.array([0.2, 0.5])
    seeds = [[-0.4, 0.6], [0.3, 0.3]]
    axes = viz.interval_plot(["no graph", "neither"], middle, low, high, "difference (mm)", points=seeds).axes[0]
    strokes = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"]
    assert strokes == seeds and axes.get_xlim()[0] < -0.4 and axes.get_xlim()[1] > 0.6
    assert [0.0, 0.0] in [list(line.get_xdata()) for line in axes.lines]
    assert [text.get_text() for text in axes.texts] == ["+0.10", "+0.30"]
    with pytest.raises(ValueError, match="points: 1, expected 2 as names"):
        viz.interval_plot(["no graph", "neither"], middle, low, high, "difference (mm)", points=seeds[:1])


def test_a_picture_may_be_kept_in_few_colours(tmp_path):
    shades = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    shades[:30] = 200
    for colours, most in ((None, 2401), (16, 16)):
        shown = viz.show(shades, "shades", tmp_path / "shades.png", colours=colours)
        assert shown.data == (tmp_path / "shades.png").read_bytes()
        kept = np.asarray(PIL.Image.open(tmp_path / "shades.png").convert("RGB"))
        assert kept.shape == shades.shape and len(np.unique(kept.reshape(-1, 3), axis=0)) <= most
        assert (kept[:30] == 200).all()


def test_what_a_picture_tells_stands_below_it_too(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *parts: shown.extend(parts))
    viz.show(np.zeros((4, 4, 3), np.uint8), "gap of clip test00_a, 3 mm")._ipython_display_()
    picture, caption = shown
    assert picture._repr_png_()[1] == {"alt": "gap of clip test00_a, 3 mm"}
    assert caption._repr_markdown_() == "Gap of clip test00_a, 3 mm."


def line_measure(millimetres, masses):
    points = torch.tensor(millimetres, dtype=torch.float64)[:, None] / 1e3
    return Measure(points, torch.tensor(masses, dtype=torch.float64))


def test_the_area_between_quantile_functions_is_the_distance():
    along = torch.ones(1, dtype=torch.float64)
    # Closed forms: a shift by 3 mm costs 3 mm; splitting one atom into two at -1 and +1 mm costs 1 mm.
    masses = [0.2, 0.5, 0.3]
    shifted = sliced_matching(line_measure([4.0, 0.0, 1.0], masses), line_measure([7.0, 3.0, 4.0], masses), along)
    assert "$W_1$ = 3 mm" in texts(viz.quantile_matching(shifted))
    split = sliced_matching(line_measure([0.0], [1.0]), line_measure([1.0, -1.0], [0.5, 0.5]), along)
    figure = viz.quantile_matching(split, coordinate="height")
    assert "$W_1$ = 1 mm" in texts(figure)
    assert "height (mm)" in texts(figure)
    predicted_steps = figure.axes[1].patches[1].get_data()
    np.testing.assert_allclose(predicted_steps.values, [-1.0, 1.0])
    np.testing.assert_allclose(predicted_steps.edges, [0.0, 0.5, 1.0])


@pytest.mark.slow
def test_measure_views_show_atoms_and_costs(gl):
    vertices, faces, _ = ball(2)
    sequence, corners = torch.tensor(talk(vertices, 11)), torch.tensor(faces)
    true, predicted = varifold(sequence[0], corners), varifold(sequence[10], corners)
    plain = viz.measure_views(true, predicted)
    assert "true: 320 atoms" in texts(plain)
    assert (np.abs(pixels(plain).astype(int) - [0x50, 0x50, 0x50]).max(-1) < 40).mean() > 0.01  # arrows
    cost = np.linalg.norm((true.points - predicted.points)[:, :3].numpy(), axis=1)
    coloured = viz.measure_views(true, predicted, costs=(cost, cost), cost_label="cost (m)")
    assert "cost (m)" in texts(coloured)
    assert len(coloured.axes) == 3
    bare = barycentres(sequence[0], corners)  # no normals: no arrows
    viz.measure_views(bare, bare, camera="front")
    with pytest.raises(ValueError, match="costs: shapes"):
        viz.measure_views(true, predicted, costs=(cost[1:], cost))
    with pytest.raises(ValueError, match="measure: points of shape"):
        viz.measure_views(varifold(sequence, corners), true)


def test_rounded_triangles_lie_nearer_to_the_ball_and_keep_their_corners():
    vertices, faces, parts = ball(1)
    normals = vertices / RADIUS
    rounding = PhongTessellation(faces, np.arange(len(vertices)))
    points = rounding.points(vertices, normals)
    assert len(rounding.faces) == 4 * len(faces)
    np.testing.assert_array_equal(points[: len(vertices)], vertices)
    flat = rounding.values(vertices)[len(vertices) :]  # the edges' middles

    def hollow(p):
        return RADIUS - np.linalg.norm(p, axis=1)

    # On a sphere the lift is 3/4 of a chord's sagitta times 2 cos^2: more than half of the hollow goes.
    assert (np.abs(hollow(points[len(vertices) :])) < 0.6 * hollow(flat)).all()
    quarters = rounding.pieces(parts)["lips"]
    assert len(quarters) == 4 * len(parts["lips"])
    centres = points[rounding.faces[quarters]].mean(1).reshape(len(parts["lips"]), 4, 3)
    apart = centres - vertices[faces[parts["lips"]]].mean(1)[:, None]
    assert np.linalg.norm(apart, axis=-1).max() < 0.4 * RADIUS  # quarters lie on their own face (sides are 0.55 R)
