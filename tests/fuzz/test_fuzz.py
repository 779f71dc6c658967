"""The fuzzer sees every planted fault and no other; a fixed part of it runs over all doors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import doors, planted
from tests.fuzz.case import make_trial, way_of
from tests.fuzz.pool import Session, outcomes, write_bases
from tests.fuzz.verdict import listing

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the fuzzer says of the planted doors, by name."""
    folder = tmp_path_factory.mktemp("planted")
    write_bases(planted.__name__, folder / "bases", planted.DOORS)
    session = Session(planted.__name__, 0, folder / "bases", folder / "kept", patience=15.0)
    names = [(door.name, 0) for door in planted.DOORS]
    return {outcome.door: outcome for outcome in outcomes(session, names, workers=1)}


@pytest.mark.parametrize("name", planted.PLANTED)
def test_a_planted_fault_is_seen_and_an_honest_door_is_left_in_peace(seen, name):
    found, said = seen[name.replace(" ", "-")].fault, planted.PLANTED[name][2]
    assert found.startswith(said) if said else found is None, found


def test_a_faulty_input_is_kept_with_what_was_said(seen):
    outcome = seen["no-name"]
    assert "error: damaged" in (Path(outcome.folder) / "said.txt").read_text()
    assert not list(Path(outcome.folder).parent.glob("honest*"))


def test_an_input_is_the_same_by_its_seed_and_number(tmp_path):
    door = next(door for door in doors.DOORS if door.name == "validate")
    write_bases(doors.__name__, tmp_path / "bases", [door])
    for number in range(0, 60, 7):
        one, two, other = (
            make_trial(door, seed, number, tmp_path / "bases", tmp_path / f"{number}{name}")
            for name, seed in (("one", 1), ("two", 1), ("other", 2))
        )
        assert (one.arguments, _content(one)) == (two.arguments, _content(two))
        assert (one.arguments, _content(one)) != (other.arguments, _content(other)) or number


def _content(trial):
    return {path: entry[-1] if entry[0] == "file" else entry for path, entry in listing(trial.folder).items()}


def test_all_ways_of_a_door_come_before_one_comes_again():
    for door in doors.DOORS:
        assert len({way_of(door, 5, number).name for number in range(len(door.ways))}) == len(door.ways), door.name


def test_the_fixed_part_finds_no_fault():
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--fixed", "--workers", "1"],
        cwd=ROOT,
        check=False,
        text=True,
        capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
