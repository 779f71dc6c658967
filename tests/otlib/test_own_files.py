"""What may be replaced: the versions that a ledger lists, byte for byte, and elsewhere a named file by one of its kind."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otlib import own_files as module
from otlib.errors import InputError
from otlib.own_files import (
    LEDGER,
    LOCK,
    MARK,
    atomic_write,
    check_writable,
    claim,
    clear,
    ledger,
    listed_contents,
    own_folder,
    remove,
)
from tests.fixtures.full_disk import full_disk
from tests.fixtures.last_write import Killed, killed_after

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60  # by then another process has started, on a machine with other work


def write(path, text):
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def tree(folder):
    return {path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else
            path.read_text() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def run(tmp_path):
    """A folder with a ledger and two files."""
    claim(tmp_path / "run")
    write(tmp_path / "run/a.txt", "one")
    write(tmp_path / "run/deep/b.txt", "two")
    return tmp_path / "run"


def test_a_ledger_lists_every_version_by_size_and_checksum(run):
    write(run / "a.txt", "")
    empty = {"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "bytes": 0}  # FIPS 180-4, B
    versions = ledger(run)
    assert versions.keys() == {"a.txt", "deep/b.txt"} and len(versions["a.txt"]) == 2 and versions["a.txt"][1] == empty


def test_what_this_project_wrote_is_replaced_and_removed(run):
    write(run / "a.txt", "another")
    assert (run / "a.txt").read_text() == "another"
    remove(run / "a.txt")
    remove(run / "a.txt")  # nothing there
    remove(run / "deep/b.txt")
    assert list(tree(run)) == [LEDGER]
    write(run / "a.txt", "again")
    clear(run)
    assert list(tree(run)) == [LEDGER]


CHANGES = {
    "edited": lambda path: path.write_text("mine"),
    "longer by a byte": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "a link to the same": lambda path: (path.rename(path.with_name("kept")), path.symlink_to("kept")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "another's": lambda path: (path.unlink(), shutil.copy(path.parent / "deep/b.txt", path)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_since_is_neither_replaced_nor_removed(run, name):
    CHANGES[name](run / "a.txt")
    before = tree(run)
    for act in (lambda: write(run / "a.txt", "new"), lambda: remove(run / "a.txt"), lambda: clear(run),
                lambda: listed_contents(run)):
        with pytest.raises(InputError, match=r"run/(a.txt|kept): ") as refusal:
            act()
        assert "\n" not in str(refusal.value) and tree(run) == before


def test_a_persons_file_is_not_taken_for_ours_by_its_name(run):
    (run / "c.txt").write_text("mine")
    with pytest.raises(InputError, match="c.txt: was not written by this project, or was changed since"):
        write(run / "c.txt", "new")
    with pytest.raises(InputError, match=f"c.txt: is not listed in {LEDGER}, so nothing is replaced"):
        with own_folder(run):
            pass
    with own_folder(run, others=True):
        write(run / "a.txt", "new")
    assert (run / "c.txt").read_text() == "mine"


def test_a_file_that_changes_while_its_new_version_is_made_is_kept(run):
    with pytest.raises(InputError, match="was changed since"), atomic_write(run / "a.txt") as temporary:
        temporary.write_text("new")
        (run / "a.txt").write_text("mine")
    assert (run / "a.txt").read_text() == "mine" and len(tree(run)) == 4


@pytest.mark.parametrize("content", [{"photo.jpg": "mine"}, {LEDGER: "mine"}, {LEDGER: '{"format": "otlib-ledger"'
                                     ', "version": 1}', "photo.jpg": "mine"}, {LEDGER: '{"format": "otlib-ledger"}'}])
def test_a_folder_with_anything_in_it_is_claimed_by_its_ledger_alone(tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    if len(content) == 2:  # a ledger, so that other files may be there, but none that it does not list is touched
        claim(tmp_path)
        return
    with pytest.raises(InputError, match="and was not made by this project .*, so nothing is written there; choose another"):
        claim(tmp_path)
    assert tree(tmp_path) == content


def test_a_claim_that_a_kill_cut_off_is_made_good(tmp_path):
    (tmp_path / LEDGER).write_text('{"format": "otl')
    claim(tmp_path)
    write(tmp_path / "a.txt", "one")
    assert ledger(tmp_path).keys() == {"a.txt"}


def test_a_line_that_a_kill_cut_off_spoils_no_other(run):
    with open(run / LEDGER, "a") as file:
        file.write('\n{"path": "a.txt", "sha2')
    write(run / "c.txt", "three")
    assert ledger(run).keys() == {"a.txt", "deep/b.txt", "c.txt"} and listed_contents(run)


def test_the_innermost_ledger_counts_links_followed(run, tmp_path):
    claim(run / "inner")
    (tmp_path / "link").symlink_to(run / "inner")
    write(tmp_path / "link/c.txt", "three")
    assert ledger(run / "inner").keys() == {"c.txt"} and "inner/c.txt" not in ledger(run)
    assert {path.name for path in listed_contents(run)} == {"a.txt", "deep", "b.txt", "inner", "c.txt", LEDGER}
    clear(run)
    assert list(tree(run)) == [LEDGER]


@pytest.mark.parametrize("old, new, kept", [
    (b"\x89PNG mine", b"\x89PNG ours", False), (b"\x89PNG mine", b"glTF ours", True), (b"", b"glTF", False),
    (b"[\n {}]", b"[\n {1}]", False), (b'{"a": 1}', b"[\n {1}]", False), (b"a: 1", b"[\n {1}]", True),
    (b"RIF", b"RIFF", True),
    (b"\x11\0\0\0\0\0\0\0{mine", b"\x80\x02\0\0\0\0\0\0{ours", False),
    (b"\x11\0\0\0\0\0\0\0mine", b"\x80\x02\0\0\0\0\0\0{ours", True)])
def test_elsewhere_a_named_file_is_replaced_by_one_of_its_kind(tmp_path, old, new, kept):
    file = tmp_path / "head"
    file.write_bytes(old)
    try:
        with atomic_write(file) as temporary:
            temporary.write_bytes(new)
    except InputError as refusal:
        assert kept and "head: is a file of another kind, so it is not replaced; choose another name" in str(refusal)
    assert file.read_bytes() == (old if kept else new) and os.listdir(tmp_path) == ["head"]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere"), os.mkfifo])
def test_a_folder_a_link_and_a_pipe_are_never_replaced(tmp_path, make):
    make(tmp_path / "head")
    with pytest.raises(InputError, match=r"head: cannot be written \(it is no plain file\); choose another name"):
        write(tmp_path / "head", "ours")
    assert os.listdir(tmp_path) == ["head"] and not (tmp_path / "head").is_file()


def test_nothing_is_removed_from_a_folder_that_was_not_claimed(tmp_path):
    write(tmp_path / "a.txt", "one")
    with pytest.raises(InputError, match="a.txt: lies in a folder that this project did not make, so it is not removed"):
        remove(tmp_path / "a.txt")
    assert tree(tmp_path) == {"a.txt": "one"}


def test_one_run_works_in_a_folder_at_a_time(run):
    for others in itertools.product((False, True), repeat=2):
        with own_folder(run, others[0]):
            with pytest.raises(InputError, match="run: another run is writing it; wait until it ends, or choose another"):
                with own_folder(run, others[1]):
                    pass
            claim(run)  # what belongs to the run may write there
            write(run / "a.txt", "new")


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with pytest.raises(ZeroDivisionError), own_folder(tmp_path / name):
            raise ZeroDivisionError
    assert tree(tmp_path) == {"empty": None}


def test_a_run_that_was_killed_early_and_stopped_early_can_go_on(tmp_path):
    """Its folder lies in another of ours, which would refuse one without a ledger."""
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    claim(outer)
    claim(inner)  # and killed
    with pytest.raises(KeyboardInterrupt), own_folder(outer), own_folder(inner):
        raise KeyboardInterrupt
    with own_folder(outer), own_folder(inner):
        write(inner / "a.txt", "one")
    assert (inner / "a.txt").read_text() == "one"


def test_a_run_that_was_killed_on_the_way_ends_with_the_same_bytes(tmp_path, monkeypatch):
    def work(folder):
        with own_folder(folder):
            for name, text in (("a", "1"), ("b", "2"), ("a", "3"), ("deep/c", "4")):
                write(folder / name, text)
            remove(folder / "b")

    work(tmp_path / "whole")
    for last, during in itertools.product(range(1, 5), (False, True)):
        folder = tmp_path / f"{last}{during}"
        with monkeypatch.context() as patch, pytest.raises(Killed):
            killed_after(last, patch, during)
            work(folder)
        work(folder)
        assert tree(folder) == tree(tmp_path / "whole"), (last, during)


CHILD = """
import os, sys, time
from pathlib import Path
from otlib.own_files import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("at work", flush=True)
    time.sleep(100)
"""


@pytest.mark.slow
def test_what_a_killed_process_leaves_goes_with_the_next_and_nothing_else_does(run):
    strangers = [".a.txt.otlib-holidays", ".a.txt.otlib-abcdefgh", ".b.txt.otlib-abcdefgh", ".a.txt.1a2b3c4d"]
    for name in strangers:
        (run / name).mkdir()
        (run / name / "mine.txt").write_text("mine")
    (run / strangers[0] / LOCK).write_bytes(MARK[:-1] + b"?")
    (run / strangers[2] / LOCK).write_bytes(MARK)
    before = tree(run)
    with subprocess.Popen([sys.executable, "-c", CHILD, str(run / "a.txt")], cwd=ROOT, stdout=subprocess.PIPE,
                          text=True) as child:
        assert child.stdout.readline() == "at work\n"
        write(run / "a.txt", "one")  # the other's is left alone while it is at work
        assert len(tree(run)) == len(before) + 3
        child.send_signal(signal.SIGKILL)
        child.wait(SECONDS)
    write(run / "a.txt", "one")
    assert {name for name in tree(run)} == before.keys()


@pytest.mark.parametrize("begin", [None, b"", MARK[:5]])
def test_a_working_folder_that_a_kill_left_half_made_goes_too(run, begin):
    left = run / ".a.txt.otlib-abcdefgh"
    left.mkdir()
    if begin is not None:
        (left / LOCK).write_bytes(begin)
    write(run / "a.txt", "two")
    assert not left.exists()
    left.mkdir()
    with own_folder(run):
        assert not left.exists()


@pytest.mark.parametrize("largest", [0, 10, 60, 200, 400])
def test_a_full_disk_loses_nothing(run, largest):
    """No room for the lock's mark, for the new file, or for the ledger's line."""
    before = tree(run)
    with full_disk(largest), pytest.raises(InputError, match=r"a.txt: cannot be written \(File too large\)"):
        write(run / "a.txt", "x" * 500)
    assert tree(run) == before
    with full_disk((run / LEDGER).stat().st_size + 10), pytest.raises(InputError, match="cannot be written"):
        write(run / "a.txt", "short")
    left = tree(run)
    left.pop(LEDGER)
    assert left == {name: text for name, text in before.items() if name != LEDGER}
    write(run / "a.txt", "short")
    assert (run / "a.txt").read_text() == "short" and listed_contents(run)


BAD_PLACES = {
    "below a file": lambda folder: ((folder / "mine.txt").write_text("keep me"), folder / "mine.txt/out")[1],
    "a long name": lambda folder: folder / ("n" * 300),
    "a long name above": lambda folder: folder / ("n" * 300) / "out",
    "below a folder that is to be made": lambda folder: folder / "new" / ("n" * 300),
}


@pytest.mark.parametrize("place", BAD_PLACES)
@pytest.mark.parametrize("use", [check_writable, claim, lambda path: own_folder(path).__enter__()],
                         ids=["check_writable", "claim", "own_folder"])
def test_where_nothing_can_be_written_is_one_sentence_and_leaves_nothing(tmp_path, place, use):
    path = BAD_PLACES[place](tmp_path)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        use(path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("largest", [0, 10])
@pytest.mark.parametrize("use", [check_writable, claim], ids=["check_writable", "claim"])
def test_a_full_disk_is_found_before_the_work_and_leaves_nothing(tmp_path, largest, use):
    with full_disk(largest), pytest.raises(InputError, match=r"out: cannot be written \(File too large\)"):
        use(tmp_path / "deep/out")
    assert not tree(tmp_path)


def test_a_check_leaves_what_is_there_and_what_a_killed_run_left(tmp_path):
    """What was left may hold a person's earlier data set, which only the writer of data sets can put back."""
    left = tmp_path / ".out.otlib-abcdefgh"
    (left / "old").mkdir(parents=True)
    (left / LOCK).write_bytes(MARK)
    (tmp_path / "out").write_text("mine")
    before = tree(tmp_path)
    check_writable(tmp_path / "out")
    check_writable(tmp_path / "new/deep/out")
    assert tree(tmp_path) == before


def test_a_file_that_cannot_be_read_is_named(run, monkeypatch):
    def refuse(path, *arguments, **options):
        if Path(path).name == "a.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return open(path, *arguments, **options)

    monkeypatch.setattr(module, "open", refuse, raising=False)
    with pytest.raises(InputError, match=r"run/a.txt: cannot be read \(Permission denied\), so nothing is replaced"), \
            own_folder(run):
        pass


@pytest.mark.parametrize("seed", range(20))
def test_whatever_people_and_programs_do_what_a_person_wrote_is_there(tmp_path, seed):
    """Of a folder's files the last version of each that came from a person, unless that person removed it."""
    draw, persons = random.Random(seed), {}
    claim(tmp_path / "run")
    for turn in range(60):
        name = draw.choice(["a", "b", "deep/c"])
        file, act = tmp_path / "run" / name, draw.choice(["write", "write", "remove", "clear", "own", "edit", "take away"])
        if act == "edit":
            file.parent.mkdir(exist_ok=True)
            file.write_text(persons.setdefault(name, f"mine {turn}"))
        elif act == "take away":
            file.unlink(missing_ok=True)
            persons.pop(name, None)
            if name == "deep/c":
                shutil.rmtree(file.parent, ignore_errors=True)
        else:
            try:
                if act == "own":
                    with own_folder(tmp_path / "run"):
                        write(file, f"ours {turn}")
                else:
                    {"write": lambda: write(file, f"ours {turn}"), "remove": lambda: remove(file),  # noqa: B023
                     "clear": lambda: clear(tmp_path / "run")}[act]()
                assert name not in persons or act == "clear" and not persons
            except InputError:
                assert persons
        for kept, text in persons.items():
            assert (tmp_path / "run" / kept).read_text() == text


def test_without_locks_a_file_is_written_and_nothing_of_anothers_is_removed(run, monkeypatch):
    left = run / ".a.txt.otlib-abcdefgh"
    left.mkdir()
    (left / LOCK).write_bytes(MARK)
    monkeypatch.setattr(module, "fcntl", None)
    with own_folder(run, others=True):
        write(run / "a.txt", "two")
    assert (run / "a.txt").read_text() == "two" and left.is_dir()


def test_a_ledger_is_json_a_line(run):
    head, *lines = (run / LEDGER).read_text().splitlines()
    assert json.loads(head) == {"format": "otlib-ledger", "version": 1}
    assert all(json.loads(line).keys() == {"path", "sha256", "bytes"} for line in lines)
