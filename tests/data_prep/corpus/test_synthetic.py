"""The built-in corpus: sound, the same bytes every time, split without leaks, and moving as its data card promises."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from data_prep.__main__ import main
from data_prep.card import measure as card
from data_prep.corpus.articulation import Style
from data_prep.corpus.sentences import DEMO_SENTENCE
from data_prep.corpus.speakers import draw_speakers, named_generator
from data_prep.corpus.synthetic import FRAME_RATE, PROFILES, Profile, build
from otlib.data.dataset import Dataset, validate

pytestmark = pytest.mark.slow

pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")

TINY = Profile({"train": 1, "val": 0, "test": 1}, {"train": 2, "val": 0, "test": 2}, "low")
FACTOR = 1.5  # how far the corpus may be from the real clip, by the project's own aim


@pytest.fixture(autouse=True)
def no_progress_bars(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "tiny"
    build(folder, TINY, seed=0, workers=1)
    return Dataset.open(folder)


@pytest.fixture(scope="session")
def crowd(tmp_path_factory):
    """All speakers of the fast profile, so that one small or large style does not decide."""
    folder = tmp_path_factory.mktemp("corpus") / "crowd"
    build(folder, replace(PROFILES["fast"], sentences=dict.fromkeys(PROFILES["fast"].speakers, 2)), workers=1)
    return Dataset.open(folder)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_corpus_is_sound(corpus):
    assert validate(corpus.path) == []
    assert len(corpus.sequences) == 4 and len(corpus.topology.faces) == 2000 and corpus.frame_rate == FRAME_RATE
    assert {"lips", "upper_face", "jaw", "lip_gap", "mouth_corners"} <= corpus.topology.regions.keys()
    assert sum(len(part) for part in corpus.topology.parts.values()) == len(corpus.topology.faces)
    assert corpus.provenance["seed"] == 0 and corpus.provenance["versions"]["espeakng-loader"]


def test_motion_lasts_as_long_as_the_sound_and_begins_and_ends_at_rest(corpus):
    """0.5 mm: the last sound's dominance has decayed to a hundredth where espeak-ng's closing pause ends."""
    lips = corpus.topology.lips
    for sequence in corpus.sequences:
        samples, rate = sequence.audio
        assert sequence.frames == int(len(samples) * FRAME_RATE // rate) == len(sequence.vertices)
        assert np.abs(samples).max() > 0.1
        assert sequence.phonemes[0].symbol == "" and sequence.phonemes[-1].end == pytest.approx(len(samples) / rate)
        for frame in (0, -1):
            away = np.linalg.norm(sequence.vertices[frame, lips] - sequence.template[lips], axis=1).max()
            assert away < 0.5e-3, (sequence.id, frame)


def test_only_validation_and_test_have_the_mean_style(corpus):
    for sequence in corpus.select(split="train"):
        assert sequence.mean_style is None
    lips = corpus.topology.lips
    for sequence in corpus.select(split="test"):
        assert sequence.mean_style.shape == sequence.vertices.shape
        error = np.linalg.norm(sequence.mean_style[:, lips] - sequence.vertices[:, lips], axis=2).max(axis=1).mean()
        frozen = np.linalg.norm(sequence.template[lips] - sequence.vertices[:, lips], axis=2).max(axis=1).mean()
        assert 0 < error < 0.6 * frozen


def test_the_same_seed_gives_the_same_bytes_in_other_processes(tmp_path, corpus):
    build(tmp_path / "again", TINY, seed=0, workers=2)
    assert content(tmp_path / "again") == content(corpus.path)


def test_how_many_threads_the_machine_lends_changes_no_byte(tmp_path):
    for threads in (1, 2):
        with threadpool_limits(threads):
            build(tmp_path / str(threads), TINY, seed=0, workers=1)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_another_seed_gives_other_speakers_and_sentences(tmp_path, corpus):
    build(tmp_path / "other", TINY, seed=1, workers=1)
    other = Dataset.open(tmp_path / "other")
    assert other.checksum != corpus.checksum
    assert [s.text for s in other.select("train")] != [s.text for s in corpus.select("train")]
    assert not np.array_equal(other.template("train00"), corpus.template("train00"))
    assert np.array_equal(other.topology.faces, corpus.topology.faces)


def test_splits_share_no_speaker_no_sentence_and_no_voice(corpus):
    by_split = {split: corpus.select(split) for split in ("train", "test")}
    for field in ("subject", "sentence", "text"):
        seen = {split: {getattr(sequence, field) for sequence in chosen} for split, chosen in by_split.items()}
        assert seen["train"].isdisjoint(seen["test"])
    assert by_split["test"][0].text == DEMO_SENTENCE
    speakers = draw_speakers(0, PROFILES["full"].speakers, 23)
    variants = {split: {s.voice.split("+")[1] for s in speakers if s.split == split} for split in ("train", "val", "test")}
    assert [len(variants[split]) for split in variants] == [40, 4, 12]
    assert not variants["train"] & variants["val"] and not variants["test"] & (variants["train"] | variants["val"])


def test_a_larger_corpus_keeps_the_speakers_of_a_smaller_one():
    fast, full = (draw_speakers(3, PROFILES[name].speakers, 23) for name in ("fast", "full"))
    assert {speaker.id: speaker for speaker in fast}.items() <= {speaker.id: speaker for speaker in full}.items()
    assert all(np.abs(speaker.identity).max() <= 2 for speaker in full)
    assert len({speaker.style for speaker in full}) == len(full) and Style() not in {speaker.style for speaker in full}


def test_more_speakers_than_voices_are_refused():
    with pytest.raises(ValueError, match="fewer than the speakers"):
        draw_speakers(0, {"train": 99, "val": 1, "test": 1}, 23)


def test_named_generators_depend_on_seed_and_name_alone():
    draws = {(seed, name): named_generator(seed, *name).random() for seed in (0, 1)
             for name in (("a", "b"), ("ab",), ("b", "a"))}
    assert len(set(draws.values())) == len(draws)
    assert named_generator(0, "a", "b").random() == draws[0, ("a", "b")]


def test_the_data_card_keeps_its_promises(crowd):
    figures = card.measure(crowd)
    json.dumps(figures, allow_nan=False)
    assert figures["closures"] >= 100
    assert figures["closed_share"] >= 0.95
    assert figures["spread_width_mm"] - figures["rounded_width_mm"] >= 5
    assert figures["closure_offset_ms"]["pressed"]["largest"] <= 10
    assert figures["closure_offset_ms"]["shut"]["largest"] <= 10
    real = card.REAL_CLIP
    assert 1 / FACTOR < figures["lip_gap_mm"][1] / real["lip_gap_mm"][1] < FACTOR
    assert 1 / FACTOR < figures["lip_speed_mm_per_frame"] / real["lip_speed_mm_per_frame"] < FACTOR
    assert figures["splits"]["test"]["speakers"] == 6
    assert figures["styled"]["mean_style_lip_error_mm"] < figures["styled"]["template_lip_error_mm"]


def test_profiles_are_as_large_as_promised():
    assert PROFILES["fast"].speakers["test"] >= 6
    assert PROFILES["full"].speakers == {"train": 40, "val": 4, "test": 12}
    assert set(PROFILES["full"].sentences.values()) == {20}


def test_the_command_line_builds_and_checks(tmp_path, capsys, monkeypatch, corpus):
    monkeypatch.setitem(PROFILES, "fast", TINY)
    assert main(["synthetic", "--out", str(tmp_path / "made"), "--workers", "1"]) == 0
    assert content(tmp_path / "made") == content(corpus.path)
    assert main(["validate", str(tmp_path / "made")]) == 0
    assert "made: valid" in capsys.readouterr().out
    (tmp_path / "made/faces.npy").unlink()
    assert main(["validate", str(tmp_path / "made")]) == 2
    assert "faces.npy: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "message"), [
    (["--hours", "0"], "--hours: must be a number"), (["--hours", "nan"], "--hours: must be a number"),
    (["--seed", "-1"], "--seed: must be a whole number"), (["--workers", "0"], "--workers: must be a whole number"),
    (["--augment", "-1"], "--augment: must be a whole number"), ([], "not a data set")])
def test_bad_options_give_one_sentence_and_exit_status_2(tmp_path, capsys, options, message):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    try:
        status = main(["synthetic", "--out", str(tmp_path / "out"), *options])
    except SystemExit as end:  # argparse's own
        status = end.code
    *usage, error = capsys.readouterr().err.splitlines()
    assert status == 2 and message in error and (not usage or usage[0].startswith("usage: "))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_help_documents_every_option():
    shown = subprocess.run([sys.executable, "-m", "data_prep", "synthetic", "--help"], capture_output=True, text=True,
                           check=True)
    assert all(option in shown.stdout for option in ("--out", "--profile", "--hours", "--augment", "--seed", "--resolution",
                                                        "--workers"))
    assert "40, 4, 12 speakers" in " ".join(shown.stdout.split())  # the sizes of the profiles, as they are
    bad = subprocess.run([sys.executable, "-m", "data_prep", "syntetic"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and "Traceback" not in bad.stderr


def test_a_place_that_cannot_be_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    """By any source: the door asks before it hands over."""
    monkeypatch.setattr("data_prep.corpus.synthetic.build", lambda *_, **__: pytest.fail("has begun"))
    (tmp_path / "mine.txt").write_text("keep me")
    assert main(["synthetic", "--out", str(tmp_path / "mine.txt/out")]) == 2
    assert "mine.txt/out: cannot be written (Not a directory)" in capsys.readouterr().err
