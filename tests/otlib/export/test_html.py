"""The page's numbers, unpacked by a plain reader: motion, surface and sound are the head's."""

import base64
import gzip
import io
import json
import re

import numpy as np
import pytest
import soundfile

from otlib.export.html import write_html
from otlib.export.talking_head import TalkingHead
from otlib.speech.recording import Recording
from otlib.topology import Topology
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk

TOLERANCE_MM = 0.1  # what the project promises of a glb, and of a page
ROUNDING_MM = 1e-4  # float32, and sums in another order
SAMPLE_ERROR = 0.05  # mp3 is lossy; a tone of 0.5 that were late by one sample would differ by 0.08


def tone(rate, seconds=1.0):
    return Recording((0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.float32), rate)


def unpacked(page):
    """The facts, and each array as the page's script reads it."""
    text = {name: re.search(rf'id="{name}">([^<]*)<', page).group(1) for name in ("facts", "numbers", "speech")}
    facts, numbers = json.loads(text["facts"]), gzip.decompress(base64.b64decode(text["numbers"]))
    place = 0

    def read(kind, *shape):
        nonlocal place
        size, count = np.dtype(kind).itemsize, int(np.prod(shape))
        part = numbers[place: place + size * count]
        place += size * count
        return np.frombuffer(b"".join(part[i::count] for i in range(count)), kind).reshape(shape)

    vertices, shapes = facts["vertices"], facts["shapes"]
    arrays = {"base": read("<i2", vertices, 3) * facts["unit"],
              "shapes": read("<i2", shapes, vertices, 3) * facts["shape_unit"],
              "weights": read("<i2", shapes, facts["frames"]).astype(int).cumsum(1) / facts["steps"],
              "copied": read("<u4", facts["copies"]), "faces": read("<u4", facts["faces"], 3)}
    assert place == len(numbers)
    return facts, arrays, base64.b64decode(text["speech"])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    vertices, faces, parts = ball(2)
    head = TalkingHead("a <b> & c", talk(vertices), vertices, Topology(faces, parts=parts), FRAME_RATE, tone(22_050))
    path = tmp_path_factory.mktemp("page") / "ball.html"
    return head, write_html(path, head), path.read_text(encoding="utf-8")


def test_the_pages_motion_is_the_heads_within_the_error_that_it_states(written):
    head, error_mm, page = written
    facts, arrays, _ = unpacked(page)
    middle = (head.template.min(0) + head.template.max(0)) / 2
    motion = middle + arrays["base"] + np.einsum("kt,kvc->tvc", arrays["weights"], arrays["shapes"])
    largest = 1e3 * np.linalg.norm(motion - head.motion, axis=-1).max()
    assert largest == pytest.approx(error_mm, abs=ROUNDING_MM) and facts["error_mm"] == error_mm
    assert 0 < largest <= TOLERANCE_MM


def test_the_pages_surface_is_the_heads_part_by_part(written):
    head, _, page = written
    facts, arrays, _ = unpacked(page)
    corners = arrays["copied"][arrays["faces"]]  # as the head counts its vertices
    skin = np.setdiff1d(np.arange(len(head.topology.faces)), np.concatenate(list(head.topology.parts.values())))
    start = 0
    for part, members in zip(facts["parts"], [skin, head.topology.parts["lips"], head.topology.parts["eyes"]], strict=True):
        np.testing.assert_array_equal(corners[start: start + part["faces"]], head.topology.faces[members])
        start += part["faces"]
    assert [part["name"] for part in facts["parts"]] == ["skin", "lips", "eyes"] and start == len(corners)


def test_the_sound_is_the_recordings_and_not_late(written):
    head, _, page = written
    samples, rate = soundfile.read(io.BytesIO(unpacked(page)[2]))
    assert rate == 22_050 and len(samples) == len(head.recording.samples)
    assert np.abs(samples - head.recording.samples)[2000:-2000].max() < SAMPLE_ERROR


def test_a_rate_that_mp3_does_not_know_becomes_16_khz(tmp_path):
    vertices, faces, _ = ball(1)
    write_html(tmp_path / "page.html", TalkingHead("a", talk(vertices), vertices, Topology(faces), FRAME_RATE, tone(96_000)))
    samples, rate = soundfile.read(io.BytesIO(unpacked((tmp_path / "page.html").read_text())[2]))
    assert (rate, len(samples)) == (16_000, 16_000)
    assert np.abs(samples - tone(16_000).samples)[2000:-2000].max() < SAMPLE_ERROR


def test_a_head_that_never_moves_is_a_page_too(tmp_path):
    vertices, faces, _ = ball(1)
    still = np.repeat(vertices[None], 3, 0)
    assert write_html(tmp_path / "page.html", TalkingHead("a", still, vertices, Topology(faces), FRAME_RATE, tone(16_000))
                      ) < TOLERANCE_MM
    assert not unpacked((tmp_path / "page.html").read_text())[1]["weights"].any()


def test_the_page_loads_nothing_and_a_name_is_no_markup(written):
    page = written[2]
    assert "<b>" not in page and unpacked(page)[0]["title"] == "a <b> & c"
    assert not re.search(r"""(?:src|href)=["'](?!data:)|https?:|import\s|@import|url\(""", page)


@pytest.mark.parametrize(("change", "message"), [
    ({"frame_rate": 0.0}, "is not positive"), ({"motion": np.zeros((0, 42, 3), np.float32)}, "does not fit a template"),
    ({"motion": np.zeros((3, 41, 3), np.float32)}, "does not fit a template")])
def test_a_head_whose_parts_do_not_fit_is_refused(change, message):
    vertices, faces, _ = ball(1)
    parts = {"name": "a", "motion": talk(vertices), "template": vertices, "topology": Topology(faces),
             "frame_rate": FRAME_RATE, "recording": tone(16_000)}
    with pytest.raises(ValueError, match=message):
        TalkingHead(**parts | change)
