"""A recording of a person's in the suite: its film can be left out, and its name is one that a notebook can hold."""

import os

import numpy as np
import pytest
import soundfile

from notebooks.driver import run as driver
from notebooks.driver.execution import code_cells
from notebooks.experiments.folders import Folders


def changed_by(**options):
    """The suite's notebooks that options change, {name: (without, with them)}."""
    plain, changed = driver.read_suite(Folders()), driver.read_suite(Folders(), **options)
    return {one.name: (one, other) for one, other in zip(plain, changed, strict=True) if one != other}


def test_only_the_film_is_left_out():
    [(name, (plain, without))] = changed_by(film=False).items()
    assert name == "11_talking_head"
    assert [path for path in plain.outputs if path not in without.outputs] == ["results/runs/fast/talking_head.mp4"]
    assert "results/runs/fast/talking_head.glb" in without.outputs
    assert without.parameters == plain.parameters | {"FILM": False}


def test_the_option_says_so(monkeypatch, capsys):
    """And so it is said to whoever sets the parameter."""
    films = []
    monkeypatch.setattr(driver, "read_suite", lambda *_, film, method: films.append(film) or [])
    monkeypatch.setattr(driver, "ensure_rendering", lambda: None)
    monkeypatch.setattr(driver, "run", lambda *_, **__: None)
    assert driver.main(["--no-film"]) == driver.main([]) == 0 and films == [False, True]


def test_the_parameter_is_set_by_the_option(capsys):
    assert driver.main(["--only", "11_talking_head", "-p", "FILM", "False"]) == 2
    assert capsys.readouterr().err == "error: --parameter FILM: give --no-film\n"


@pytest.mark.parametrize("name", ["price $5 `x` 'y'.wav", "...wav", "line\nbreak.wav", "-x.wav"])
def test_any_name_goes_into_the_notebook(name, tmp_path):
    soundfile.write(tmp_path / name, np.full(16_000, 0.1), 16_000, format="WAV")
    changed = changed_by(audio=tmp_path / name)
    assert list(changed) == ["00_first_head", "11_talking_head"]
    for _, step in changed.values():
        assert step.parameters["AUDIO"] == str(tmp_path / name)
        assert all(path.startswith("results/runs/fast/talks/") and ".." not in path for path in step.outputs)


def test_a_name_that_is_no_unicode_is_refused_in_one_sentence(tmp_path, capsys):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    try:
        soundfile.write(os.open(path, os.O_RDWR | os.O_CREAT), np.full(16_000, 0.1), 16_000, format="WAV", subtype="PCM_16")
    except OSError as reason:
        pytest.skip(f"this file system has no such names ({reason})")
    assert driver.main(["--only", "11_talking_head", "--audio", path]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ") and "\\udcff.wav: the name is not Unicode" in said and "; rename" in said


def test_the_motion_of_a_recording_lies_on_the_disk(tmp_path):
    """An hour of it takes gigabytes, which notebook 00 once held in memory."""
    soundfile.write(tmp_path / "hour.wav", np.full(16_000, 0.1), 16_000)
    for name in changed_by(audio=tmp_path / "hour.wav"):
        lines = "\n".join(code_cells(driver.NOTEBOOKS / f"{name}.ipynb")).splitlines()
        [call] = [line for line in lines if " = " in line and "talk(" in line]
        assert "on_disk(talk(" in call
