"""Regions found from motion, beside those that the built-in head knows by construction."""

import numpy as np
import pytest

from data_prep.corpus.articulation import Style, articulate
from data_prep.head import make_head, pose
from data_prep.raw.derived_regions import derive_regions
from otlib.errors import InputError
from otlib.phonemes import Phoneme
from tests.fixtures.talking_ball import ball, talk

SPEECH = [("", 0.0, 0.2), ("m", 0.2, 0.3), ("ɑ", 0.3, 0.5), ("p", 0.5, 0.6), ("i", 0.6, 0.8), ("u", 0.8, 1.0),
          ("", 1.0, 1.2)]


@pytest.fixture(scope="module")
def speech():
    """With a blink in it, in which lids part from eyes."""
    controls = articulate([Phoneme(*part) for part in SPEECH], 30, 25.0, Style(blink_rate=2.0), np.random.default_rng(0))
    assert controls[:, 8].max() > 0.9
    return controls


@pytest.mark.parametrize("resolution", ["low", "medium"])
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (0.5, 1.6, -0.3)])
def test_lips_are_found_at_any_resolution_and_place(speech, resolution, place):
    head = make_head(np.random.default_rng(1).normal(size=23), resolution)
    found = derive_regions(head.vertices + place, pose(head, speech) + place)
    assert found["lip_gap"].tolist() == head.topology.lip_gap.tolist()
    lips, upper_face = set(head.topology.lips.tolist()), set(head.topology.regions["upper_face"].tolist())
    assert len(lips & set(found["lips"].tolist())) > 0.5 * len(lips)  # those in front; the head's own list goes further in
    distance = np.linalg.norm(head.vertices[found["lips"]][:, None] - head.vertices[sorted(lips)], axis=2).min(1)
    assert distance.max() < 0.010  # what is taken besides is within the 8 mm that lips may reach, and slant a little
    assert len(upper_face & set(found["upper_face"].tolist())) > 0.95 * len(upper_face)
    assert set(found["upper_face"].tolist()).isdisjoint(found["lips"].tolist())


def test_motion_without_a_mouth_that_opens_is_refused():
    vertices, _, _ = ball(2)
    with pytest.raises(InputError, match="name the regions with --lips"):
        derive_regions(vertices.astype(float), talk(vertices))


def test_a_face_that_lies_on_its_back_is_refused(speech):
    """z up: what should be 45 mm above the mouth is not."""
    head = make_head()
    turned = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    with pytest.raises(InputError, match="see that y points up"):
        low = head.vertices[:, 1] < 0.0
        derive_regions(head.vertices[low] @ turned, pose(head, speech)[:, low] @ turned)
