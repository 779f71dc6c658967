"""The data card: what it measures of the surface, what it promises, and its page."""

import html
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.card import measure as card
from data_prep.card import page as card_page
from data_prep.card.surface import facing_lips, measure_surface
from data_prep.head import CONTROLS, make_head, pose
from data_prep.writer import DatasetWriter, NewSequence, write_sequence
from otlib.data.dataset import Dataset
from otlib.files import read_json, write_json
from otlib.own_files import LEDGER
from otlib.viz.can_render import RenderingUnavailable
from tests.fixtures.tiny_corpus import RATE, write_corpus

pytestmark = pytest.mark.slow

SINGLE = 1e-4  # the figures are rounded to four digits
MM = 1e-3
ONE_OR_MANY = {"rtol": 0.0, "atol": 2e-7}  # metres: one frame is posed by other kernels than many, in float32
SHAPES = {"ɑː": {"jaw": 0.7, "aperture": 0.7}, "m": {"press": 0.8}, "uː": {"round": 0.9, "aperture": 0.1},
          "f": {"tuck": 1.0, "aperture": 0.1}, "iː": {"spread": 0.8, "aperture": 0.2}}  # a sound each, held for long
VISEME = dict(zip(SHAPES, ("a", "p b m", "u", "f v", "i"), strict=True))


def still(**values):
    frame = np.zeros(len(CONTROLS))
    for name, value in values.items():
        frame[CONTROLS.index(name)] = value
    return frame


def write_heads(path, motions, phonemes=None):
    """A data set of the built-in head with one speaker for each motion (T, V, 3)."""
    head = make_head()
    with DatasetWriter(path, name="heads", frame_rate=30.0, provenance={"tool": "tests"}) as writer:
        writer.set_topology(head.topology)
        for number, motion in enumerate(motions):
            writer.add_subject(f"s{number}", head.vertices)
            samples = np.zeros(len(motion) * RATE // 30, np.int16)
            writer.add_sequence(*write_sequence(writer.folder, NewSequence(
                f"s{number}_one", f"s{number}", "one", "train", motion, samples, RATE, phonemes)))
    return Dataset.open(path)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    """One head that says five sounds of 0.2 s, each in its shape throughout."""
    motion = pose(make_head(), np.stack([still(**shape) for shape in SHAPES.values() for _ in range(6)]))
    spans = [(symbol, 0.2 * number, 0.2 * (number + 1)) for number, symbol in enumerate(SHAPES)]
    return write_heads(tmp_path_factory.mktemp("card") / "spoken", [motion], spans)


@pytest.fixture(scope="session")
def balls(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("card") / "balls"))


def test_the_smallest_face_is_that_of_a_naive_loop(spoken):
    sequence, smallest = spoken.sequences[0], np.inf
    for frame in sequence.vertices[::6]:  # one of each sound
        for face in spoken.topology.faces:
            (a, b, c), (d, e, f) = sequence.template[face].astype(float), frame[face].astype(float)
            smallest = min(smallest, np.linalg.norm(np.cross(e - d, f - d)) / np.linalg.norm(np.cross(b - a, c - a)))
    assert measure_surface(spoken)["smallest_area_ratio"] == pytest.approx(smallest, abs=SINGLE)
    assert measure_surface(spoken)["frames"] == sequence.frames


def test_a_face_that_collapses_is_seen(tmp_path):
    motion = np.repeat(make_head().vertices[None], 10, axis=0)
    a, b, _ = make_head().topology.faces[100]
    motion[7, a] = motion[7, b]
    assert measure_surface(write_heads(tmp_path / "collapsed", [motion]))["smallest_area_ratio"] == 0.0


def test_lips_that_cross_are_measured(tmp_path):
    """The upper lip's middle is pushed 3 mm below the lower one's, in one frame of one speaker."""
    head = make_head()
    sound = np.repeat(head.vertices[None], 10, axis=0)
    upper, lower = head.topology.lip_gap
    crossed = sound.copy()
    crossed[4, upper, 1] = crossed[4, lower, 1] - 3 * MM
    for motions, depth in (([sound], 0.0), ([sound, crossed], 3.0)):
        measured = measure_surface(write_heads(tmp_path / str(depth), motions))
        assert measured["lip_overlap_mm"] == pytest.approx(depth, abs=SINGLE)


@pytest.mark.parametrize("resolution", ["low", "medium"])
def test_facing_points_of_the_lips_lie_over_each_other(resolution):
    """0.5 mm: a mouth is symmetric up and down to that across its width; each lip has half the points but the corners."""
    head = make_head(resolution=resolution)
    upper, lower = facing_lips(head.topology)
    assert np.abs(head.vertices[upper, 0] - head.vertices[lower, 0]).max() < 0.5 * MM
    assert set(upper) == set(head.topology.regions["lips_upper"]) and set(lower) == set(head.topology.regions["lips_lower"])


def test_regions_that_do_not_say_what_faces_what_are_left_alone(balls, spoken):
    assert facing_lips(balls.topology) is None and measure_surface(balls)["lip_overlap_mm"] is None
    shuffled = replace(spoken.topology, regions=dict(spoken.topology.regions, lips=spoken.topology.lips[::-1]))
    assert facing_lips(shuffled) is None


def test_the_same_frames_are_drawn_again(balls):
    assert measure_surface(balls, 20) == measure_surface(balls, 20)
    assert measure_surface(balls, 20)["frames"] == 20
    assert measure_surface(balls)["frames"] == sum(sequence.frames for sequence in balls.sequences)


def test_promises_are_judged_by_the_figures(spoken):
    figures = card.measure(spoken)
    kept = {what: good for what, _, good in card_page.promises(figures)}
    assert len(kept) == 7 and all(kept[what] for what in kept if "p, b and m" in what or "wider" in what)
    broken = {"closed_share": 0.949, "lip_gap_mm": [0.0, 24.0], "lip_speed_mm_per_frame": 0.48, "spread_width_mm": -5.0,
              "rounded_width_mm": -9.9, "closure_offset_ms": {"pressed": {"largest": 1.0}, "shut": {"largest": 10.1}},
              "surface": {"frames": 1000, "smallest_area_ratio": 0.049, "lip_overlap_mm": 0.11}}
    assert [good for *_, good in card_page.promises(figures | broken)] == [False] * 7


def test_what_cannot_be_measured_is_not_promised(tmp_path):
    bare = write_heads(tmp_path / "bare", [pose(make_head(), np.zeros((4, len(CONTROLS))))])
    assert len(card_page.promises(card.measure(bare))) == 4


def test_phonemes_of_another_alphabet_are_no_closures(tmp_path):
    motion = pose(make_head(), np.zeros((12, len(CONTROLS))))
    foreign = write_heads(tmp_path / "foreign", [motion], [("SIL", 0.0, 0.2), ("y", 0.2, 0.4)])
    figures = card.measure(foreign)
    assert figures["closures"] == 0 and figures["closed_share"] is None and figures["closure_offset_ms"] is None


def test_visemes_are_frames_of_their_sounds(spoken):
    subject, frames = card_page.find_visemes(spoken)
    assert subject == "s0" and list(frames) == list(card_page.VISEMES)
    for sound, shape in SHAPES.items():
        np.testing.assert_allclose(frames[VISEME[sound]], pose(make_head(), still(**shape)[None])[0], **ONE_OR_MANY)


def test_the_speaker_who_holds_sounds_longest_is_shown(tmp_path, spoken):
    motion = np.array(spoken.sequences[0].vertices)
    both = write_heads(tmp_path / "both", [motion, motion], [("m", 0.0, 0.1), ("ɑ", 0.1, 0.3)])
    spans = both.path / "phonemes/s1_one.json"
    write_json(spans, [{"phoneme": "m", "start": 0.0, "end": 0.2}, {"phoneme": "ɑ", "start": 0.2, "end": 0.4}])
    assert card_page.find_visemes(both)[0] == "s1"


def test_the_page_shows_pictures_and_the_figures_of_its_json(tmp_path, capsys, spoken):
    pytest.importorskip("pyvista", reason="pictures come with otlib[notebook]")
    assert main(["card", str(spoken.path), "--page", str(tmp_path / "card")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "card/card.md")
    text, figures = (tmp_path / "card/card.md").read_text("utf-8"), read_json(tmp_path / "card/card.json")
    assert figures == json.loads(json.dumps(card.measure(spoken)))
    pictures = re.findall(r"!\[[^]]+\]\((\w+\.png)\)", text)
    assert pictures == ["speakers.png", "visemes_front.png", "visemes_three_quarter.png", "lip_gap.png"]
    assert all((tmp_path / "card" / picture).stat().st_size > 5_000 for picture in pictures)
    assert f"| mean lip speed (mm a frame) | {figures['lip_speed_mm_per_frame']:.2f} | 0.73 |" in text
    assert all(measured in text for _, measured, _ in card_page.promises(figures))
    assert figures["checksum"] in text and "{" not in text


def test_without_3d_the_page_has_all_but_the_heads(tmp_path, capsys, monkeypatch, balls):
    pytest.importorskip("IPython", reason="pictures come with otlib[notebook]")

    def refuse():
        raise RenderingUnavailable("no GL: install libegl1")

    monkeypatch.setattr(card_page, "ensure_rendering", refuse)
    assert main(["card", str(balls.path), "--page", str(tmp_path / "card")]) == 2
    assert "libegl1" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "card").iterdir()) == [LEDGER, "card.json", "card.md", "lip_gap.png"]


def test_a_card_that_a_person_edited_is_kept(tmp_path, capsys, balls, monkeypatch):
    monkeypatch.setattr(card_page, "_pictures", lambda dataset, in_3d: iter(()))
    arguments = ["card", str(balls.path), "--page", str(tmp_path / "card")]
    assert main(arguments) == main(arguments) == 0
    (tmp_path / "card/card.md").write_text("my own words")
    before = {path: path.read_bytes() for path in (tmp_path / "card").iterdir()}
    capsys.readouterr()
    assert main(arguments) == 2
    assert "card.md: differs from what .otlib-files.jsonl lists, so nothing is replaced" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "card").iterdir()} == before


NAMES = ["# title", "a*b*c_d_", "[click](http://evil.example)", "<script>alert(1)</script>", "a|b", "![x](y.png)", "`rm`",
         "&lt;", "http://evil.example", "www.evil.example", "~~no~~", "$x$", "a\\*b", "two\nlines\n\n# more", "\x1b[31m",
         "1. one", "plain name", "Zoë 語", "{x: y}", "---", "@someone"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_in_markdown_as_they_are(name):
    """By the renderer that nbconvert brings, with tables, bare addresses and strokes as on GitHub."""
    mistune = pytest.importorskip("mistune", reason="the renderer comes with nbconvert, of otlib[notebook]")
    render = mistune.create_markdown(plugins=["table", "url", "strikethrough"])
    text = render(f"- Made by: {card_page.escaped(name)}\n\n| name |\n| --- |\n| {card_page.escaped(name)} |\n")
    assert set(re.findall(r"<(\w+)", text)) == {"ul", "li", "table", "thead", "tr", "th", "tbody", "td"}
    shown = [html.unescape(part).strip() for part in re.findall(r"<(?:li|td)>(.*?)</(?:li|td)>", text, re.DOTALL)]
    expected = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert shown == [f"Made by: {expected}", expected]


def test_all_that_a_data_set_names_is_escaped_on_its_page(balls, tmp_path):
    evil = "<b>|*x*"
    shutil.copytree(balls.path, tmp_path / "evil")
    manifest = read_json(tmp_path / "evil/manifest.json")
    provenance = {"tool": evil, "seed": evil, "versions": {evil: evil}, "licence": evil, "parameters": {evil: evil}}
    write_json(tmp_path / "evil/manifest.json", manifest | {"name": evil, "provenance": provenance})
    dataset = Dataset.open(tmp_path / "evil")
    text = card_page.page(dataset, card.measure(balls), [])
    assert "<b" not in text.replace(r"\<b", "") and "*x*" not in text and text.count(card_page.escaped(evil)) == 8


def test_figures_are_printed_as_json(capsys, balls):
    assert main(["card", str(balls.path)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(card.measure(balls)))


def test_a_missing_data_set_is_one_sentence(tmp_path, capsys):
    assert main(["card", str(tmp_path / "none"), "--page", str(tmp_path / "card")]) == 2
    assert "no such data set folder" in capsys.readouterr().err and not (tmp_path / "card").exists()


