"""Several trainings side by side: the weights of one by one, and a child's bad input as one sentence."""

import dataclasses
import os
import sys
import time

import pytest

from otlib.errors import InputError
from otlib.files import read_json
from otlib.losses import LossSettings
from otlib.train.checkpoint import WEIGHTS
from otlib.train.loop import LOG, RUN, TrainSettings, train
from otlib.train.side_by_side import train_all
from tests.fixtures.tiny_corpus import write_corpus

pytestmark = pytest.mark.slow

MODEL = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}
FIRST = TrainSettings("prosody", steps=3, batch=2, window=12, validate=3, model=MODEL,
                      loss=LossSettings(directions=12, frames=2))
SECOND = dataclasses.replace(FIRST, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


def test_two_side_by_side_give_the_weights_of_one_by_one(data, tmp_path):
    for name, settings in (("first", FIRST), ("second", SECOND)):
        train(data, tmp_path / "alone" / name, settings, cache=tmp_path / "features")
    done = train_all(data, tmp_path / "runs", {"first": FIRST, "second": SECOND}, cache=tmp_path / "features", processes=2)
    for name, record in done.items():
        together, alone = (tmp_path / folder / name for folder in ("runs", "alone"))
        assert record == read_json(alone / RUN)
        for file in (WEIGHTS, LOG, RUN):
            assert (together / file).read_bytes() == (alone / file).read_bytes()
    assert done["first"]["settings"]["seed"] == 0 and done["second"]["settings"]["seed"] == 1


def test_bad_input_of_a_child_arrives_as_its_sentence(data, tmp_path):
    bad = dataclasses.replace(FIRST, encoder="no/such/encoder")
    with pytest.raises(InputError) as caught:
        train_all(data, tmp_path, {"bad": bad}, cache=tmp_path / "features")
    assert str(caught.value).startswith("no/such/encoder: no HuBERT") and "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(InputError, match="runs/first: cannot be written"):
        train_all(data, tmp_path / "runs", {"first": FIRST}, cache=tmp_path / "features")


@pytest.fixture
def child(monkeypatch, tmp_path):
    """Make the trainings run this shell script, with the folder of the run as $1, in place of otlib.train."""
    def install(script):
        program = tmp_path / "child"
        program.write_text(f"#!/bin/sh\nset -- \"$6\"\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
    return install


def test_a_child_that_fails_otherwise_is_named_with_its_last_words(data, tmp_path, child):
    child("echo one; echo two >&2; exit 7")
    with pytest.raises(RuntimeError, match="training first ended with status 7: one\ntwo"):
        train_all(data, tmp_path / "runs", {"first": FIRST}, cache=tmp_path)


def test_a_failure_stops_the_others(data, tmp_path, child):
    child('echo $$ > "$1/pid"; case "$1" in *first) sleep 0.3; echo "error: it is bad" >&2; exit 2;; esac; exec sleep 100')
    start = time.monotonic()
    with pytest.raises(InputError, match="^it is bad$"):
        train_all(data, tmp_path / "runs", {"first": FIRST, "second": SECOND}, cache=tmp_path, processes=2)
    assert time.monotonic() - start < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "runs" / "second" / "pid").read_text()), 0)


def test_no_more_run_at_a_time_than_asked(data, tmp_path, child):
    child(f'mkdir "{tmp_path}/busy" || exit 9; sleep 0.2; rmdir "{tmp_path}/busy"; echo "{{}}" > "$1/run.json"')
    settings = {str(seed): dataclasses.replace(FIRST, seed=seed) for seed in range(3)}
    assert train_all(data, tmp_path / "runs", settings, cache=tmp_path, processes=1) == {"0": {}, "1": {}, "2": {}}
