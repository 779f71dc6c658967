"""The lip-gap pair found from motion: the built-in head's own pair, from any speaker and from a wide mask."""

import numpy as np
import pytest

from data_prep.head import CONTROLS, IDENTITY_DIRECTIONS, make_head, pose
from data_prep.raw.lip_gap_pair import find_lip_gap
from otlib.errors import InputError

HALF_A_MILLIMETRE = 5e-4  # what two neighbours on the inner lip may differ by in opening; a pair on the outer lips, by 10 mm


def speaking(resolution, seed):
    """A head, and frames in which its mouth opens and its other controls wander a little."""
    generator = np.random.default_rng(seed)
    head = make_head(generator.normal(size=len(IDENTITY_DIRECTIONS)), resolution)
    controls = 0.05 * generator.uniform(size=(20, len(CONTROLS)))
    for name, most in (("jaw", 0.6), ("aperture", 0.8)):
        controls[:, CONTROLS.index(name)] = most * np.sin(np.linspace(0, np.pi, 20)) ** 2
    return head, pose(head, controls)


def opening(frames, pair):
    return np.linalg.norm(frames[:, pair[0]] - frames[:, pair[1]], axis=1)


@pytest.mark.parametrize("resolution", ["low", "medium"])
@pytest.mark.parametrize("seed", range(3))
def test_the_built_in_heads_own_pair_is_found(resolution, seed):
    head, frames = speaking(resolution, seed)
    middle = head.vertices[head.topology.lips].mean(0)
    wide = np.flatnonzero(np.linalg.norm(head.vertices - middle, axis=1) < 0.04)  # as BIWI's mask: skin about the lips too
    for mask in (head.topology.lips, wide):
        pair = find_lip_gap(head.vertices, frames, mask, "clip")
        assert head.vertices[pair[0], 1] > head.vertices[pair[1], 1]
        difference = opening(frames, pair) - opening(frames, head.topology.lip_gap)
        assert np.abs(difference).max() < HALF_A_MILLIMETRE


def test_a_mouth_that_stays_shut_is_told():
    head, frames = speaking("low", 0)
    with pytest.raises(InputError, match="clip: no two lip vertices on the midline part from each other; name the two"):
        find_lip_gap(head.vertices, frames[:0], head.topology.lips, "clip")
    with pytest.raises(InputError, match="clip: fewer than two lip vertices lie on the midline"):
        find_lip_gap(head.vertices, frames, head.topology.lips[:1], "clip")
