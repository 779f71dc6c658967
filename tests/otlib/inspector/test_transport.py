"""The inspector without a browser: what it computes, what its pictures say, what its page holds, what it refuses."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from otlib.inspector import Comparison, Controls, Inspector, MovingMesh, still, write_page
from otlib.inspector.figures import coordinate_name, estimate_line, headline
from otlib.inspector.measure_views import MOST_ARROWS, AlignmentScene, arrow_factor
from otlib.inspector.transport import DRAWS
from otlib.measures.matching import EXACT_ATOMS, exact_plan, sliced_bound
from otlib.topology import Topology
from tests.fixtures.talking_ball import FRAME_RATE, MOUTH, RADIUS, ball, talk

EXACT = 1e-9  # relative, float64: sums of some thousand terms
PACKED_MM = 0.01  # the page's integers are steps of 0.003 mm for a ball of 0.2 m
SHIFT = np.array([0.004, -0.003, 0.012])  # metres, 13 mm long


def mesh(subdivisions=2, frames=5, shift=(0.0, 0.0, 0.0), lips=True):
    """A ball that talks, moved as a whole."""
    vertices, faces, _ = ball(subdivisions)
    near = np.flatnonzero(np.linalg.norm(vertices / RADIUS - MOUTH, axis=1) < 0.35)
    topology = Topology(faces, {"lips": near} if lips else {})
    return MovingMesh(talk(vertices, frames).astype(np.float64) + np.asarray(shift), topology)


@pytest.fixture
def moved():
    """The same sequence twice, the second one shifted."""
    return Comparison(mesh(), mesh(shift=SHIFT))


def texts(figure):
    """All words in a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize("angles, vector", [((0.0, 90.0), (0, 1, 0)), ((90.0, 0.0), (1, 0, 0)), ((0.0, 0.0), (0, 0, 1)),
                                            ((180.0, -30.0), (0, -0.5, -np.sqrt(0.75)))])
def test_directions_are_named_by_azimuth_and_elevation(angles, vector):
    np.testing.assert_allclose(Controls(azimuth=angles[0], elevation=angles[1]).direction, vector, atol=1e-15)


def test_regions_hold_each_other():
    sizes = [len(mesh().measure(0, region).weights) for region in ("lips", "mouth", "face")]
    assert 0 < sizes[0] < sizes[1] < sizes[2] == 320


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("region", ["lips", "face"])
def test_in_a_translation_every_atom_pays_alike_and_moves_by_it(moved, region, p):
    found = moved.align(Controls(frame=3, region=region, count=100, p=p))
    for gap in found.gaps:
        np.testing.assert_allclose(gap, found.distance, rtol=EXACT)
    assert found.matching.cost ** (1 / p) == pytest.approx(abs(SHIFT[1]), rel=EXACT)
    np.testing.assert_allclose(found.from_true.displacement, np.broadcast_to(SHIFT, found.true.points.shape), rtol=1e-6)
    np.testing.assert_allclose(found.from_predicted.displacement, -SHIFT + np.zeros((len(found.predicted.weights), 3)),
                               rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_estimate_scatters_less_with_more_directions_and_keeps_to_the_bound(p):
    comparison = Comparison(mesh(), mesh(frames=1))
    found = comparison.estimate(4, "lips", p, (6, 24, 100))
    assert found.values.shape == (3, DRAWS)
    assert found.deviation[0] > 2 * found.deviation[2]
    once = comparison.align(Controls(4, "lips", count=100, p=p)).distance
    assert once == pytest.approx(found.middle[2], abs=5 * found.deviation[2])
    pair = comparison.true.measure(4, "lips"), comparison.predicted.measure(0, "lips")
    assert found.exact == pytest.approx(exact_plan(*pair, p=p).cost ** (1 / p), rel=EXACT)
    assert found.bound == pytest.approx(sliced_bound(3, p) ** (1 / p) * found.exact, rel=EXACT)
    assert found.middle[2] < 1.01 * found.bound  # 100 directions integrate abs(u)^p that well
    np.testing.assert_array_equal(found.values, comparison.estimate(4, "lips", p, (6, 24, 100)).values)


def test_meshes_may_differ_in_topology():
    comparison = Comparison(mesh(2), mesh(3))
    found = comparison.align(Controls(frame=2, region="face"))
    assert (len(found.true.weights), len(found.predicted.weights)) == (320, 1280)
    assert comparison.estimate(2, "face", 2.0, (6,)).exact is None  # more than can be solved exactly
    assert comparison.estimate(2, "lips", 2.0, (6,)).exact > 0


@pytest.mark.slow
def test_the_costliest_direction_is_that_of_a_translation():
    sideways = Comparison(mesh(), mesh(shift=(0.01, 0.0, 0.0)))
    azimuth, elevation = sideways.costliest(Controls(count=500))
    assert abs(float(Controls(azimuth=azimuth, elevation=elevation).direction[0])) > 0.98
    assert elevation >= 0


def test_a_still_mesh_is_compared_with_every_frame():
    comparison = Comparison(mesh(), MovingMesh(ball(2)[0].astype(np.float64), Topology(ball(2)[1])))
    assert comparison.frames == 5 and comparison.regions == ("face",)
    first, last = (comparison.align(Controls(frame, "face")).distance for frame in (0, 4))
    assert first == 0 < last
    with pytest.raises(ValueError, match="region must be one of face"):
        comparison.align(Controls(region="lips"))


@pytest.mark.parametrize("controls, culprit", [
    (Controls(frame=5), "frame must be 0 to 4, got 5"), (Controls(region="nose"), "region must be one of lips, mouth, face"),
    (Controls(count=0), "count must be at least 1"), (Controls(p=0.5), "p must be"),
])
def test_controls_that_do_not_fit_are_refused(moved, controls, culprit):
    with pytest.raises(ValueError, match=culprit):
        moved.align(controls)


def test_meshes_that_do_not_fit_are_refused():
    vertices, faces, _ = ball(1)
    with pytest.raises(ValueError, match="true has 5 frames, predicted 4"):
        Comparison(mesh(), mesh(frames=4))
    with pytest.raises(ValueError, match="lips"):
        MovingMesh(vertices, Topology(faces, {"lips": [len(vertices)]}))
    with pytest.raises(ValueError, match="finite"):
        MovingMesh(np.where(vertices == vertices.max(), np.nan, vertices), Topology(faces))


def test_a_flat_mesh_is_refused(without_type_checks):
    vertices, faces, _ = ball(1)
    with pytest.raises(ValueError, match="shape"):
        MovingMesh(vertices[:, :2], Topology(faces))


def test_lines_say_what_is_shown(moved):
    found = moved.align(Controls(frame=2, region="lips", count=24))
    assert headline(found).startswith("lips, frame 2: SW_2 = ")
    assert headline(found).endswith("from 24 directions; in the one shown (height) 3 mm")
    line = estimate_line(moved.estimate(2, "lips", 2.0, (24, 100)), 24)
    assert "from 24 directions" in line and "exact W_2 = 13.000 mm" in line and "at most 7.506 mm" in line  # 13 / sqrt 3
    large = Comparison(mesh(3), mesh(3, shift=SHIFT)).estimate(0, "face", 2.0, (6,))
    assert f"at most {EXACT_ATOMS} atoms, these are 1280" in estimate_line(large, 6)
    assert [coordinate_name(*angles) for angles in ((40.0, 90.0), (90.0, 0.0), (0.0, 0.0), (10.0, 20.0))] == [
        "height", "sideways", "depth", "along 10°, 20° up"]


def test_arrows_are_lengthened_by_a_round_number_until_they_show(moved):
    found = moved.align(Controls())
    extent = max(np.ptp(side.points.numpy(), axis=0).max() for side in (found.true, found.predicted))
    longest = found.from_true.descent.norm(dim=-1).max().item()
    factor = arrow_factor(found, "gradient")
    assert factor in (1, 2, 5, 10) and factor * longest <= max(0.15 * extent, longest)
    still_pair = Comparison(mesh(), mesh()).align(Controls())
    assert arrow_factor(still_pair, "gradient") >= 1  # nothing moves


def test_the_scene_shows_costs_arrows_and_direction_in_linked_views(gl, moved):
    scene = AlignmentScene(size=(400, 200))
    try:
        one, other = scene.plotter.renderers
        assert one.camera is other.camera
        pictures = {}
        for arrows in ("gradient", "none"):
            scene.show(moved.align(Controls(region="face")), arrows)
            pictures[arrows] = np.concatenate(scene.pictures(), axis=1).astype(int)
        scene.show(moved.align(Controls(region="lips")), "none")
        pictures["lips"] = np.concatenate(scene.pictures(), axis=1).astype(int)
    finally:
        scene.close()
    assert pictures["none"].shape == (200, 400, 3)
    for left in (slice(0, 200), slice(200, 400)):
        assert (pictures["none"][:, left].min(-1) < 200).mean() > 0.1  # not blank
        assert (np.abs(pictures["gradient"] - pictures["none"])[:, left].max(-1) > 20).mean() > 0.002
        assert (np.abs(pictures["lips"] - pictures["none"])[:, left].max(-1) > 20).mean() > 0.1


def test_the_still_picture_tells_the_same_story(gl):
    comparison = Comparison(mesh(), mesh(frames=1))
    controls = Controls(frame=4, region="mouth", count=24)
    figure = still(comparison.align(controls), comparison.estimate(4, "lips", 2.0, comparison.counts))
    words = texts(figure)
    for expected in ("true: ", "predicted: ", "24 directions", "quantile functions", "exact $W_{2}$", "number of directions",
                     f"at the {MOST_ARROWS} atoms that pay most", "mm"):
        assert expected in words, expected
    assert len(figure.axes) == 6


def test_the_page_holds_the_keyframes_and_asks_for_nothing(tmp_path, moved):
    write_page(tmp_path / "page.html", moved, Controls(frame=2, region="lips"), [0, 2, 4], FRAME_RATE)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=.(?!data:)|https?:|import\(", text)
    page = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    assert page["times"] == [round(frame / FRAME_RATE, 4) for frame in (0, 2, 4)] and page["start"] == 1
    found = moved.align(Controls(frame=4, region="lips"))
    pair = [page["point_unit"] * np.frombuffer(base64.b64decode(page[name][2]["points"]), "<i2").reshape(-1, 3)
            for name in ("true", "predicted")]
    expected = 1e3 * (found.predicted.points - found.true.points).numpy()
    np.testing.assert_allclose(pair[1] - pair[0], expected, atol=2 * PACKED_MM)
    gaps = page["limit"] / 255 * np.frombuffer(base64.b64decode(page["true"][2]["gaps"]), np.uint8)
    np.testing.assert_allclose(gaps, 1e3 * found.gaps[0], atol=page["limit"] / 255)


@pytest.mark.parametrize("frames, controls, rate, culprit", [
    ([], Controls(), 25.0, "evenly spaced"), ([0, 1, 3], Controls(), 25.0, "evenly spaced"),
    ([2, 1], Controls(frame=2), 25.0, "ascending"), ([1, 2], Controls(), 25.0, "frame 0 is none of the keyframes"),
    ([0, 9], Controls(), 25.0, "frame must be 0 to 4"), ([0, 1], Controls(), 0.0, "frame_rate must be positive"),
])
def test_a_page_of_no_keyframes_is_refused(tmp_path, moved, frames, controls, rate, culprit):
    with pytest.raises(ValueError, match=culprit):
        write_page(tmp_path / "page.html", moved, controls, frames, rate)
    assert list(tmp_path.iterdir()) == []


def test_the_live_view_needs_a_notebook(moved):
    with pytest.raises(RuntimeError, match="open it in JupyterLab"):
        Inspector(moved)


def test_sequences_may_be_mapped_from_disk_in_single_precision(tmp_path):
    made = mesh()
    np.save(tmp_path / "vertices.npy", made.vertices.astype(np.float32))
    mapped = MovingMesh(np.load(tmp_path / "vertices.npy", mmap_mode="r"),
                        Topology(made.topology.faces.astype(np.int32), made.topology.regions))
    measure = mapped.measure(3, "mouth")
    assert measure.points.dtype == torch.float64
    np.testing.assert_allclose(measure.points, made.measure(3, "mouth").points, atol=1e-7)
