"""make: what a person names is text, whatever it looks like; no name runs, vanishes or becomes an option."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from notebooks.driver import more_options
from tests.benchmarks import bench_model
from tests.conftest import ROOT

MORE = "notebooks.driver.more_options"
# In place of the environment's python: it says what it was called with, and the texts of options that it finds.
PYTHON = f"""#!{sys.executable} -IS
import json, os, sys
words = sys.argv[1:]
if words[1] == {MORE!r}:
    words[2] = [os.environ.get(name) for name in words[2].split(",")]
with open("said", "a", encoding="utf-8") as file:
    print(json.dumps(words), file=file)
"""
EVIL = ["a`touch pwned`.wav", "$(shell touch pwned).wav", "$(touch pwned).wav", '";touch pwned;"', "';touch pwned;'",
        "price $5 song.wav", "$${HOME}.wav", "~/*.wav", "a && touch pwned", "a|touch pwned", "a#b.wav", "two  spaces.wav",
        "back\\slash.wav", "-x.wav", "--help", "line\nbreak.wav", "tab\t.wav", "$(error no).wav", "ünï 語.wav", "...wav",
        "%.wav", "a:b=c,d(e).wav", "!!", "<in>out", "endef"]
FILES = {"Makefile", "pyproject.toml", "constraints.txt", ".venv"}
VARIABLES = ("AUDIO", "DEMO", "METHOD", "KEYS", "TEXT", "PROFILE", "RUN", "NAME", "SWEEP", "DATA", "RAW", "PAPER",
             "RECORDINGS", "CLAIMS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith((*VARIABLES, "MAKE", "MFLAGS"))}


@pytest.fixture
def make(tmp_path):
    """Run make on the project's Makefile with another python; return the words that each call of it was given."""
    if not shutil.which("make"):
        pytest.skip("no make on this machine")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in FILES - {".venv"}:
        shutil.copy(ROOT / name, tmp_path)
    for name in ("python", "jupyter"):
        (tmp_path / ".venv" / "bin" / name).write_text(PYTHON, encoding="utf-8")
        (tmp_path / ".venv" / "bin" / name).chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()

    def run(*words, **environment):
        (tmp_path / "said").unlink(missing_ok=True)
        done = subprocess.run(["make", "-s", *words], cwd=tmp_path, env=ENVIRONMENT | environment, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert {path.name for path in tmp_path.iterdir()} - {"said"} == FILES
        return [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]

    return run


@pytest.mark.parametrize("target, called, variables", [
    ("demo", [MORE, [""], "notebooks.driver.run", "--profile={}", "--run={}", "--audio={}", "--method={}", "--keys={}",
              "--text={}"], ("PROFILE", "RUN", "AUDIO", "METHOD", "KEYS", "TEXT")),
    ("sweep", [MORE, ["{}"], "notebooks.driver.sweep", "{}", "--run={}"], ("SWEEP", "NAME", "RUN")),
    ("paper", [MORE, ["{}"], "notebooks.driver.published_table", "{}", "--raw={}", "--run={}"],
     ("PAPER", "DATA", "RAW", "RUN")),
    ("claims", [MORE, ["{}", "{}"], "tests.benchmarks.bench_claims", "--run={}"],
     ("RECORDINGS", "CLAIMS", "RUN")),
    ("lab", ["notebooks.driver.copy_notebooks", "--run={}"], ("RUN",)),
    ("bench-model", ["tests.benchmarks.bench_model", "--run={}"], ("RUN",))])
def test_a_name_reaches_the_commands_as_it_is(make, target, called, variables):
    """All names in one, in every variable: written behind make, or found in the environment."""
    name = "".join(EVIL)
    expected = ["-m", *(json.loads(json.dumps(word).replace("{}", json.dumps(name)[1:-1])) for word in called)]
    assert make(target, *(f"{variable}={name}" for variable in variables))[0] == expected
    assert make(target, **dict.fromkeys(variables, name))[0] == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", EVIL)
def test_so_does_each_name_by_itself(make, name):
    first, second = make("demo", f"AUDIO={name}", f"DEMO={name}", f"METHOD={name}", f"TEXT={name}")
    shown = ["--profile=fast", f"--audio={name}", f"--method={name}"]
    assert first == ["-m", MORE, [name], "notebooks.driver.run", *shown, f"--text={name}"]
    assert second == ["-m", "notebooks.driver.demo_summary", *shown]


def test_the_demo_shows_the_usual_method_where_none_is_named(make):
    first, second = make("demo")
    assert first == ["-m", MORE, [""], "notebooks.driver.run", "--profile=fast"]
    assert second == ["-m", "notebooks.driver.demo_summary", "--profile=fast"]


def test_a_text_of_options_is_split_by_its_quotes_alone(monkeypatch, capsys):
    """All names in one text, each quoted, as --recording FILE TEXT wants them; the status is the command's."""
    monkeypatch.setattr(bench_model, "main", lambda words: print(json.dumps(words)) or 3)
    monkeypatch.setenv("ONE", shlex.join(EVIL))
    monkeypatch.setenv("TWO", "--only `touch pwned` $(shell touch pwned) a\\ b")
    assert more_options.main(["ONE,TWO,NONE", bench_model.__name__, "--run", "mine"]) == 3
    assert json.loads(capsys.readouterr().out) == [
        "--run", "mine", *EVIL, "--only", "`touch", "pwned`", "$(shell", "touch", "pwned)", "a b"]
    monkeypatch.setenv("TWO", '--only "a')
    assert more_options.main(["TWO", bench_model.__name__]) == 2
    assert capsys.readouterr().err.startswith("error: TWO: its quotes or backslashes do not pair (No closing quotation);")
