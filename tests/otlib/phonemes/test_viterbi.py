"""The best path: against every path there is."""

import itertools

import numpy as np
import pytest

from otlib.phonemes.viterbi import best_loop, best_path

DOUBLE = 1e-12


def scores(frames, states, seed):
    return np.random.default_rng(seed).normal(size=(frames, states))


def total(values, path):
    return values[np.arange(len(path)), path].sum()


def allowed(path, optional):
    """Whether a path visits every state that it must, in order, and leaves out optional ones alone."""
    states = len(optional)
    visited = [key for key, _ in itertools.groupby(path)]
    return (visited == sorted(set(visited))
            and all(state in visited or optional[state] for state in range(states)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("optional", [(False, False, False), (True, False, True), (False, True, False),
                                      (True, False, True, False), (False,), (True,)])
@pytest.mark.parametrize("frames", [3, 6])
def test_row_against_every_path(frames, optional, seed):
    values = scores(frames, len(optional), seed)
    every = [path for path in itertools.product(range(len(optional)), repeat=frames) if allowed(path, optional)]
    best = max(total(values, path) for path in every)
    found = best_path(values, np.array(optional))
    assert allowed(found.tolist(), optional)
    assert total(values, found) == pytest.approx(best, abs=DOUBLE)


@pytest.mark.parametrize("seed", range(4))
def test_loop_against_every_path(seed):
    values, transitions = scores(5, 3, seed), scores(3, 3, seed + 100)

    def with_order(path):
        path = np.array(path)
        return total(values, path) + transitions[path[:-1], path[1:]].sum()

    best = max(with_order(path) for path in itertools.product(range(3), repeat=5))
    assert with_order(best_loop(values, transitions)) == pytest.approx(best, abs=DOUBLE)


def test_one_frame():
    assert best_path(np.zeros((1, 1)), np.array([False])).tolist() == [0]
    assert best_loop(np.array([[0.0, 1.0]]), np.zeros((2, 2))).tolist() == [1]


@pytest.mark.parametrize("frames, optional, words", [
    (2, (False, False, False), "2 frames are too few for 3 sounds"), (0, (True,), "too few"),
    (5, (False, True, True), "optional")])
def test_what_has_no_path_is_refused(frames, optional, words):
    with pytest.raises(ValueError, match=words):
        best_path(np.zeros((frames, len(optional))), np.array(optional))


def test_a_table_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("otlib.phonemes.viterbi._LARGEST", 11)
    with pytest.raises(ValueError, match="too many at once"):
        best_path(np.zeros((4, 3)), np.zeros(3, bool))
