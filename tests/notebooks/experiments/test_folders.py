"""Where everything lies: whatever folder a program runs in, and whatever names a person gives."""

import subprocess
import sys

import pytest

from notebooks.experiments.folders import PAPER, REFERENCE, Folders
from otlib.errors import InputError
from tests.conftest import ROOT

SHOW = "from notebooks.experiments.folders import Folders; print(Folders('fast').corpus); print(Folders('fast').results)"


@pytest.mark.parametrize("run, name", [("", "full"), ("mine", "mine"), ("a.b-c_1", "a.b-c_1"), ("x" * 64, "x" * 64)])
def test_a_run_lies_in_a_folder_of_its_name_and_the_corpus_in_that_of_the_profile(tmp_path, run, name):
    folders = Folders("full", run, tmp_path)
    assert folders.results == tmp_path / "results" / "runs" / name
    assert folders.corpus == tmp_path / "data" / "full" / "corpus" and folders.features.parent == folders.corpus.parent
    assert all(place.is_relative_to(folders.results) for place in
               (folders.models, folders.notebooks, folders.bench, folders.sweep("ablation")))


@pytest.mark.parametrize("name", [".hidden", "..", "a/b", "a\\b", "a b", "ä", "a\n", "x" * 65, "$(x)", "reference",
                                  "compare"])
def test_a_name_that_no_folder_may_have_is_refused_in_one_sentence(name):
    with pytest.raises(InputError, match="choose a name") as refusal:
        Folders("fast", name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("place", ["", "notebooks", ".."])
def test_folders_do_not_follow_the_working_folder(place):
    """As with papermill from the root or from elsewhere, and with a copy of a notebook."""
    said = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT / place, check=True, capture_output=True, text=True).stdout
    assert said.split() == [str(ROOT / "data/fast/corpus"), str(ROOT / "results/runs/fast")]
    assert (REFERENCE, PAPER) == (ROOT / "results/reference", ROOT / "results/paper")


def recording(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_recordings_of_one_name_have_folders_of_their_own(tmp_path):
    one, two, same = (recording(tmp_path / place, "say.wav", content) for place, content in
                      (("a", b"1"), ("b", b"2"), ("c", b"1")))
    talks = [Folders().talk(file) for file in (one, two, same)]
    assert talks[0] != talks[1] and talks[0] == talks[2] and all(talk.name.startswith("say-") for talk in talks)


def test_the_talking_heads_of_two_methods_lie_side_by_side(tmp_path):
    file, folders = recording(tmp_path, "say.wav", b"1"), Folders(root=tmp_path)
    assert (folders.head(), folders.head(method="kmtalk")) == (folders.results, folders.results / "kmtalk")
    assert (folders.head(file), folders.head(file, "kmtalk")) == (folders.talk(file), folders.talk(file) / "kmtalk")


@pytest.mark.parametrize("name", ["...wav", "a b$c.wav", "line\nbreak.wav", "ü" * 120 + ".wav", "-x.mp3"])
def test_no_name_of_a_recording_leads_elsewhere(tmp_path, name):
    talk = Folders().talk(recording(tmp_path, name, b"1"))
    assert talk.parent == Folders().results / "talks" and talk.resolve() == talk
    assert len(talk.name.encode()) < 255 and talk.name.replace("-", "").replace("_", "").isalnum()
