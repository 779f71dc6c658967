"""A folder is whole or absent, and nothing is ever removed but what a manifest of the project's own lists."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from data_prep.__main__ import main
from otlib import own_files as module
from otlib.data.dataset import Dataset, validate
from otlib.data.whole_folder import FolderFormat, file_table, refuse_overlap, removable, whole_folder
from otlib.errors import InputError
from otlib.own_files import LOCK, MARK
from tests.fixtures.full_disk import full_disk
from tests.fixtures.tiny_corpus import write_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
FORM = FolderFormat("a shelf", "shelf.json", "test-shelf", 3)
EXTENSION = {"manifest_version": 3, "name": "a browser extension", "version": "1"}
SECONDS = 60  # by then another process has started, on a machine with other work


def write(path, text="words", also=None):
    """Make a folder of FORM; ``also`` is called in the middle."""
    with whole_folder(path, FORM) as folder:
        (folder / "deep/er").mkdir(parents=True)
        (folder / "deep/er/a.txt").write_text(text)
        (folder / "b.txt").write_text("more")
        if also:
            also(folder)
        (folder / "shelf.json").write_text(json.dumps({"format": "test-shelf", "version": 3, "files": file_table(folder)}))
    return path


def content(folder):
    """Everything below a folder, links as what they name."""
    return {path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else
            path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def edit(change):
    def act(path):
        manifest = json.loads((path / "shelf.json").read_text())
        change(manifest)
        (path / "shelf.json").write_text(json.dumps(manifest))
    return act


def linked(path):
    shutil.copy(path / "b.txt", path.parent / "elsewhere.txt")
    (path / "b.txt").unlink()
    (path / "b.txt").symlink_to(path.parent / "elsewhere.txt")


REFUSED = {
    "unlisted file": (lambda p: (p / "notes.txt").write_text("mine"), "out/notes.txt: is not listed in shelf.json"),
    "first of several": (lambda p: [(p / name).write_text("") for name in ("z", "m", "deep/er/k")],
                         "out/deep/er/k: is not listed"),
    "unlisted, deep": (lambda p: (p / "deep/notes.txt").write_text("mine"), "out/deep/notes.txt: is not listed"),
    "hidden": (lambda p: (p / ".git").mkdir(), r"out/\.git: is not listed"),
    "below a folder": (lambda p: ((p / "raw").mkdir(), (p / "raw/a.wav").write_text("")), "out/raw/a.wav: is not listed"),
    "changed": (lambda p: (p / "b.txt").write_text("mine"), "out/b.txt: differs from what shelf.json lists"),
    "longer": (lambda p: (p / "b.txt").write_text("more words"), "out/b.txt: differs"),
    "a folder now": (lambda p: ((p / "b.txt").unlink(), (p / "b.txt").mkdir()), "out/b.txt: differs"),
    "a pipe now": (lambda p: ((p / "b.txt").unlink(), os.mkfifo(p / "b.txt")), "out/b.txt: differs"),
    "a link now": (linked, "out/b.txt: differs"),
    "linked folder": (lambda p: (p / "raw").symlink_to(p.parent), "out/raw: is not listed"),
    "entry of another kind": (edit(lambda m: m["files"].update({"b.txt": 4})), "out/b.txt: differs"),
    "no manifest": (lambda p: (p / "shelf.json").unlink(), r"is not a shelf \(it holds b.txt and no shelf.json\)"),
    "another's manifest": (lambda p: (p / "shelf.json").write_text(json.dumps(EXTENSION)),
                           r"is not a shelf \(its shelf.json is not of the format test-shelf, version 3"),
    "no JSON": (lambda p: (p / "shelf.json").write_bytes(b"\xff{"), "its shelf.json is not of the format"),
    "deep JSON": (lambda p: (p / "shelf.json").write_text("[" * 100_000), "its shelf.json is not of the format"),
    "a list": (lambda p: (p / "shelf.json").write_text("[]"), "its shelf.json is not of the format"),
    "another format": (edit(lambda m: m.update(format="zip")), "its shelf.json is not of the format"),
    "a newer version": (edit(lambda m: m.update(version=4)), "its shelf.json is not of the format"),
    "no version": (edit(lambda m: m.update(version=0)), "its shelf.json is not of the format"),
    "version of another type": (edit(lambda m: m.update(version=3.0)), "its shelf.json is not of the format"),
    "no table": (edit(lambda m: m.update(files=["b.txt"])), "its shelf.json is not of the format"),
    "linked manifest": (lambda p: ((p / "shelf.json").rename(p.parent / "s"), (p / "shelf.json").symlink_to(p.parent / "s")),
                        "its shelf.json is not of the format"),
    "a link itself": (lambda p: (p.rename(p.parent / "true"), p.symlink_to(p.parent / "true")),
                      r"is not a shelf \(it is a link or a file\)"),
    "a file": (lambda p: (shutil.rmtree(p), p.write_text("mine")), r"is not a shelf \(it is a link or a file\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_manifest_lists_is_never_replaced(tmp_path, name):
    act, message = REFUSED[name]
    out = write(tmp_path / "out")
    act(out)
    before = content(tmp_path)
    with pytest.raises(InputError, match=message) as refusal:
        write(out, "other words")
    assert "\n" not in str(refusal.value) and content(tmp_path) == before


@pytest.mark.parametrize("name", REFUSED)
def test_what_comes_while_a_run_is_at_work_is_kept_too(tmp_path, name):
    act, message = REFUSED[name]
    out, before = write(tmp_path / "out"), {}

    def meanwhile(folder):
        act(out)
        before.update({name: held for name, held in content(tmp_path).items() if not name.startswith(".")})

    with pytest.raises(InputError, match=message):
        write(out, "other words", meanwhile)
    assert content(tmp_path) == before


def test_what_a_manifest_lists_is_replaced(tmp_path):
    out = write(tmp_path / "out")
    write(out, "other words")
    assert (out / "deep/er/a.txt").read_text() == "other words"
    (out / "b.txt").unlink()  # nothing is lost with what is missing
    write(out)
    empty = tmp_path / "empty"
    empty.mkdir()
    write(empty)
    assert content(empty) == content(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "out"]
    umask = os.umask(0)
    os.umask(umask)
    assert out.stat().st_mode & 0o777 == 0o777 & ~umask  # not the working folder's own, which others cannot read


def test_a_table_names_no_way_out_of_its_folder(tmp_path):
    out = write(tmp_path / "out")
    (tmp_path / "mine.txt").write_text("mine")
    entry = module.file_entry(tmp_path / "mine.txt")
    edit(lambda manifest: manifest["files"].update({"../mine.txt": entry, str(tmp_path / "mine.txt"): entry}))(out)
    assert all(path.is_relative_to(out) and ".." not in path.parts for path in removable(out, FORM))
    write(out)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_full_disk_and_a_failing_rename_leave_what_stood_there(tmp_path, monkeypatch):
    out = write(tmp_path / "out")
    before = content(tmp_path)
    for largest in (len(MARK) - 1, 100):  # no room for the lock's mark; none for the files
        with full_disk(largest), pytest.raises(InputError, match=r"out: cannot be written \(File too large\)"):
            with module.writable(out):
                write(out, 200 * "x")
        assert content(tmp_path) == before
    replace = os.replace

    def fail(source, target):
        if Path(source).name == "new":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="Input/output error"):
        write(out)
    assert content(tmp_path) == before


def test_of_writers_at_once_one_writes_and_the_others_say_so(tmp_path):
    out, barrier, outcomes = tmp_path / "out", threading.Barrier(8), []

    def attempt():
        barrier.wait()
        try:
            with whole_folder(out, FORM) as folder:
                barrier.wait(SECONDS)
                (folder / "shelf.json").write_text('{"format": "test-shelf", "version": 3, "files": {}}')
            outcomes.append("written")
        except InputError as error:
            outcomes.append(str(error))
            barrier.wait(SECONDS)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=len) == ["written", *[
        f"{out}: another run is writing it; wait until it ends, or choose another folder"] * 7]
    assert os.listdir(tmp_path) == ["out"]


CHILD = """
import os, signal, sys
from pathlib import Path
from data_prep.writer import DatasetWriter
from tests.fixtures.tiny_corpus import write_corpus
replace, end = os.replace, DatasetWriter.__exit__
def wait(*arguments):
    print("at work", flush=True)
    sys.stdin.readline()
    end(*arguments)
def killed(source, target):
    if Path(source) == out:
        replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
out = Path(sys.argv[1])
if sys.argv[2] == "wait":
    DatasetWriter.__exit__ = wait
else:
    os.replace = killed
write_corpus(out, seed=1)
"""


def start(out, what):
    return subprocess.Popen([sys.executable, "-c", CHILD, str(out), what], cwd=ROOT, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_second_process_says_that_the_first_is_at_work(tmp_path):
    out = tmp_path / "out"
    with start(out, "wait") as first:
        assert first.stdout.readline() == "at work\n"
        before = content(tmp_path)
        with pytest.raises(InputError, match="out: another run is writing it; wait until it ends"):
            write_corpus(out)
        assert content(tmp_path) == before
        write_corpus(tmp_path / "beside")  # another folder is free
        first.communicate("\n", timeout=SECONDS)
    assert first.returncode == 0 and validate(out) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside", "out"]


def test_what_a_killed_process_leaves_goes_and_nothing_of_a_similar_name(tmp_path):
    out = tmp_path / "out"
    strangers = [".out.partial", ".out.replaced", ".out.otlib-holidays", ".out.otlib-holiday2", ".other.otlib-abcdefgh",
                 ".out.otlib-abcdefghi"]
    for name in strangers:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / ".out.otlib-holidays" / LOCK).write_text("a file of mine\n")
    for name in strangers[-2:]:  # marked, and of another folder's
        (tmp_path / name / LOCK).write_bytes(MARK)
    (tmp_path / ".out.otlib-linked01").symlink_to(tmp_path / strangers[-1])
    before = content(tmp_path)
    with start(out, "wait") as first:
        assert first.stdout.readline() == "at work\n"
        first.kill()
    assert first.returncode == -signal.SIGKILL and len(content(tmp_path)) > len(before)
    write_corpus(out)
    shutil.rmtree(out)
    assert content(tmp_path) == before


def test_a_process_killed_between_the_two_renames_loses_nothing(tmp_path):
    out = write_corpus(tmp_path / "out")
    checksum = Dataset.open(out).checksum
    with start(out, "kill") as first:
        first.wait(SECONDS)
    assert first.returncode == -signal.SIGKILL and not out.exists()
    with pytest.raises(ZeroDivisionError):  # a run that does not come to its end
        with whole_folder(out, FolderFormat("a data set", "manifest.json", "otlib-dataset", 2)):
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["out"] and Dataset.open(out).checksum == checksum and validate(out) == []


def test_an_unlisted_file_in_a_folder_that_was_put_aside_is_kept(tmp_path):
    """A kill while the replaced folder is being removed, and a file that was put there."""
    out = write(tmp_path / "out")
    left = tmp_path / ".out.otlib-abcdefgh"
    shutil.copytree(out, left / "old")
    (left / "old/mine.txt").write_text("mine")
    (left / LOCK).write_bytes(MARK)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"old/mine.txt: is not listed in shelf.json"):
        write(out)
    assert content(tmp_path) == before
    (left / "old/mine.txt").unlink()
    (left / "old/b.txt").unlink()  # gone already when the run was killed
    write(out)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("reason", ["no module", "a file system without locks"])
def test_without_locks_a_run_at_work_and_a_killed_one_are_not_told_apart(tmp_path, monkeypatch, reason):
    if reason == "no module":
        monkeypatch.setattr(module, "fcntl", None)
    else:
        def unsupported(descriptor, operation):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(module.fcntl, "flock", unsupported)
    out = write(write(tmp_path / "out"))  # twice
    with whole_folder(out, FORM) as folder:
        with pytest.raises(InputError, match=f"for want of file locks; wait until it ends, or remove {folder.parent}"):
            write(out)
        shutil.copytree(out, folder, dirs_exist_ok=True)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(("out", "read"), [
    ("raw", "raw"), ("raw/out", "raw"), ("raw/a/b", "raw"), ("all", "all/raw"), ("link", "raw"), ("link/out", "raw"),
    ("raw/../raw", "raw"), ("raw", "link"), ("raw/deep", "link"), ("all", "into"), ("all", "all/raw/take.wav"),
    ("all/raw/take.wav", "all/raw/take.wav")])
def test_a_folder_that_touches_what_is_read_is_refused(tmp_path, out, read):
    for folder in ("raw/deep", "all/raw"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "all/raw/take.wav").write_text("")
    (tmp_path / "link").symlink_to("raw")
    (tmp_path / "into").symlink_to("all/raw")
    with pytest.raises(InputError, match="is, holds or lies in .*, which is read, so nothing is written; choose another"):
        refuse_overlap(tmp_path / out, [tmp_path / "nowhere", tmp_path / read])


def test_a_folder_beside_what_is_read_is_free(tmp_path):
    for name in ("raw", "raw2", "out"):
        (tmp_path / name).mkdir()
    refuse_overlap(tmp_path / "out", [tmp_path / "raw", tmp_path / "nowhere"])
    refuse_overlap(tmp_path / "raw2", [tmp_path / "raw"])
    refuse_overlap(tmp_path / "new/out", [tmp_path / "raw"])


def test_every_command_that_makes_a_folder_asks(tmp_path, capsys):
    """By the options that name files, whatever their names."""
    (tmp_path / "raw").mkdir()
    for command, option in (("recordings", "--raw"), ("vocaset", "--raw"), ("biwi", "--raw"), ("ict-facekit", "--raw"),
                            ("export", "--dataset")):
        for out in ("raw", "raw/out", "."):
            assert main([command, option, str(tmp_path / "raw"), "--out", str(tmp_path / out)]) == 2
            said = capsys.readouterr().err
            assert "which is read, so nothing is written" in said and said.count("\n") == 1
    assert content(tmp_path) == {"raw": None}
