"""Files written whole, and the one place that decides what may be replaced or removed: what this project wrote, unchanged.

- A folder that is filled file by file (a run, an encoder, a card) has a ledger: for each version of each file that was
  written there a line of JSON, with path, size and SHA-256. A file in it may go if the ledger lists it as it is.
- A folder that is made at once (a data set, an export) has a manifest: :mod:`otlib.data.whole_folder`.
- Elsewhere a single file that somebody named is replaced by one of its own kind: PNG by PNG, JSON by JSON, as their first
  four bytes tell. A folder, a link or a device never is.

What is being written lies in a hidden working folder, ``.NAME.otlib-<random>/``, beside its place, with a ``lock`` in it
that belongs to the operating system and ends with the process. The next to write NAME removes what a killed one left.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from otlib.errors import InputError

try:
    import fcntl
except ModuleNotFoundError:  # Windows: a live run cannot be told from a killed one, so what may be one's is left alone
    fcntl = None

LEDGER = ".otlib-files.jsonl"
LOCK = "lock"
MARK = b"working folder of otlib; a later run removes it\n"  # in the lock: shows that the folder is ours

_HEAD = b'{"format": "otlib-ledger", "version": 1}'
_SIGNATURE, _SAFETENSORS = 4, 8  # bytes by which formats differ, and where the header of safetensors begins

Entry = dict[str, Any]  # {"sha256", "bytes"}


@contextlib.contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path of the same name; put the file in place on success, remove it on failure.

    Raises:
        InputError: what stands at ``path`` may not be replaced, the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    with writable(path):
        check_replaceable(path)
        with working_folder(path) as work:
            yield (new := work / path.name)
            check_replaceable(path, _signature(new))
            if claimed := _claimed(path):
                _append(claimed[0], {"path": claimed[1], **file_entry(new)})
            os.replace(new, path)


def check_replaceable(path: Path, begin: bytes = b"") -> None:
    """Refuse to replace or remove what may not be.

    Args:
        path: a file, if anything is there.
        begin: the first four bytes of the file that replaces it, where that is known; b"JSON" and b"safetensors" for those.

    Raises:
        InputError: ``path`` is no plain file; it lies in a folder with a ledger, which does not list it as it is; or it lies
            elsewhere and is of another kind.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: cannot be written (it is no plain file); choose another name")
    if claimed := _claimed(path):
        if file_entry(path) not in ledger(claimed[0]).get(claimed[1], ()):
            raise InputError(f"{path}: was not written by this project, or was changed since, so it is not replaced; "
                             "move it away")
    elif begin and _signature(path) not in (b"", begin):
        raise InputError(f"{path}: is a file of another kind, so it is not replaced; choose another name")


def check_writable(path: Path | str) -> None:
    """Refuse an output, a file or a folder, that could not be written, before the work of making it; nothing is left.

    Raises:
        InputError: no working folder can be made beside ``path``.
    """
    place = Path(os.path.abspath(path))
    with writable(path):
        made = _make_folder(place.parent)
        try:
            work, lock = _new_working_folder(place)
            os.close(lock)
            shutil.rmtree(work)
        finally:
            _remove_empty(made)


def remove(path: Path) -> None:
    """Remove a file, if it is there, from a folder with a ledger.

    Raises:
        InputError: the folder has no ledger, or the file may not be replaced (:func:`check_replaceable`).
    """
    if os.path.lexists(path):
        with writable(path):
            check_replaceable(path)
            if not (claimed := _claimed(path)):
                raise InputError(f"{path}: lies in a folder that this project did not make, so it is not removed; move it "
                                 "away")
            path.unlink()
            with contextlib.suppress(OSError):  # folders that are empty now
                for _ in claimed[1].split("/")[1:]:
                    (path := path.parent).rmdir()


def claim(folder: Path) -> None:
    """Give a new or empty folder a ledger; leave one that has it as it is.

    Raises:
        InputError: it is no folder, holds anything without having a ledger, or cannot be written.
    """
    with writable(folder):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"{folder}: is not a folder; choose another name")
        made = _make_folder(folder)
        with _alone(folder):
            if _has_ledger(folder):
                return
            names = sorted(os.listdir(folder))
            if names and not (names == [LEDGER] and _HEAD.startswith((folder / LEDGER).read_bytes())):  # killed just here
                raise InputError(f"{folder}: holds {names[0]} and was not made by this project (it has no {LEDGER} of "
                                 "ours), so nothing is written there; choose another folder")
            try:
                with open(folder / LEDGER, "wb") as file:
                    file.write(_HEAD)
            except OSError:
                (folder / LEDGER).unlink(missing_ok=True)
                _remove_empty(made)
                raise


@contextlib.contextmanager
def own_folder(folder: Path, others: bool = False) -> Iterator[None]:
    """Claim a folder and be the only one at work in it while the ``with`` block lasts.

    Args:
        folder: the folder.
        others: whether it may hold other files too, which are left as they are; otherwise every file must be as its ledger
            lists it.

    Raises:
        InputError: another run is at work there, or something in it is unlisted or was changed; see also :func:`claim`.
    """
    with writable(folder):
        made, claimed = not os.path.lexists(folder), _has_ledger(folder)
    claim(folder)
    with contextlib.ExitStack() as stack:
        if not claimed:
            stack.callback(_leave_nothing, folder, made)
        with writable(folder):
            if fcntl is not None:
                lock = os.open(folder / LEDGER, os.O_RDWR)
                stack.callback(os.close, lock)
                if _lock(lock) is False or os.fstat(lock).st_ino != os.stat(folder / LEDGER).st_ino:
                    raise _at_work(folder)
            if not others:
                for work in filter(_is_ours, sorted(folder.rglob(".*.otlib-*"))):
                    _clear_leftover(work, shutil.rmtree)
                listed_contents(folder)
        yield
        if not others:
            _settle(folder)
        if claimed:  # and cleared; what is stopped early leaves it, since the folder around it asks for a ledger
            _leave_nothing(folder, made)


def clear(folder: Path) -> None:
    """Remove all that is in a folder but its ledger; errors as of :func:`listed_contents`."""
    for path in listed_contents(folder):
        if path != folder / LEDGER:
            path.rmdir() if path.is_dir() else path.unlink()


def listed_contents(folder: Path) -> list[Path]:
    """Return what is in a folder with a ledger, in an order in which it can be removed; ledgers in its subfolders count.

    Raises:
        InputError: something is not listed, or differs from what is.
    """
    files: dict[str, Collection[Entry] | None] = {}
    for file in folder.rglob(LEDGER):
        if _has_ledger(file.parent):
            inner = file.parent.relative_to(folder)
            files |= {(inner / name).as_posix(): entries for name, entries in ledger(file.parent).items()}
            files[(inner / LEDGER).as_posix()] = None
    return only_listed(folder, files, LEDGER)


def only_listed(folder: Path, files: Mapping[str, Collection[Any] | None], where: str) -> list[Path]:
    """Return the contents of a folder in an order in which they can be removed.

    A listed file may be missing, since nothing is lost with it.

    Args:
        folder: the folder.
        files: relative path to what the file may be; None for any content.
        where: name of the file that lists them.

    Raises:
        InputError: something is not listed, or differs from what is.
    """
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    contents = []
    for place, inner, outer in os.walk(folder, topdown=False, onerror=_raise):
        for path in (Path(place, name) for name in sorted(inner + outer)):
            relative = path.relative_to(folder).as_posix()
            plain = not path.is_symlink()
            if not (plain and path.is_dir() and relative in folders):
                if relative not in files:
                    raise InputError(f"{path}: is not listed in {where}, so nothing is replaced; move it away or choose "
                                     "another folder")
                allowed = files[relative]
                if not plain or not path.is_file() or (allowed is not None and file_entry(path) not in allowed):
                    raise InputError(f"{path}: differs from what {where} lists, so nothing is replaced; move it away or "
                                     "choose another folder")
            contents.append(path)
    return contents


def ledger(folder: Path) -> dict[str, list[Entry]]:
    """Return all versions of all files that a folder's ledger lists, by relative path."""
    versions: dict[str, list[Entry]] = {}
    for line in (folder / LEDGER).read_bytes().splitlines()[1:]:
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):  # a line that a kill cut off
            entry = json.loads(line)
            versions.setdefault(entry.pop("path"), []).append(entry)
    return versions


def file_entry(path: Path) -> Entry:
    """Return size and checksum of a file.

    Raises:
        InputError: it cannot be read, so nobody can say whether it may be replaced.
    """
    try:
        with open(path, "rb") as file:
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": os.fstat(file.fileno()).st_size}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}), so nothing is replaced; make it readable, or "
                         "move it away") from error


@contextlib.contextmanager
def writable(path: Path | str) -> Iterator[None]:
    """Turn an OSError in the ``with`` block into an InputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); free some space or choose another "
                         "folder") from error


@contextlib.contextmanager
def working_folder(path: Path, clear: Callable[[Path], None] = shutil.rmtree, single: bool = False) -> Iterator[Path]:
    """Yield a hidden folder beside ``path``, to be the place of what is being made; ``clear`` removes it at the end.

    Args:
        path: what is to be made.
        clear: how to remove such a folder, also one that a killed run left.
        single: whether another run at work on ``path`` is an error.

    Raises:
        InputError: another run is at work, and ``single``; or the folder cannot be written.
    """
    prefix = _prefix(path)
    with writable(path):
        _make_folder(path.parent)
        with _alone(path.parent):
            for left in sorted(path.parent.iterdir()):
                if re.fullmatch(re.escape(prefix) + "[a-z0-9_]{8}", left.name) and _is_ours(left):
                    free = _clear_leftover(left, clear)
                    if single and free is None:
                        raise InputError(f"{path}: another run is writing it, or was killed, which cannot be told apart for "
                                         f"want of file locks; wait until it ends, or remove {left}")
                    if single and not free:
                        raise _at_work(path)
            work, lock = _new_working_folder(path)
    try:
        yield work
    finally:
        with writable(path), _alone(path.parent):
            os.close(lock)
            clear(work)


def _prefix(path: Path) -> str:
    return f".{path.name}.otlib-"


def _new_working_folder(path: Path) -> tuple[Path, int]:
    """Make a working folder beside ``path``; return it and its lock, which is held and open."""
    work = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
    try:
        lock = os.open(work / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        _lock(lock)
        os.write(lock, MARK[os.write(lock, MARK):])  # of a full disk the system tells when not one byte fits
    except BaseException:
        shutil.rmtree(work)
        raise
    return work, lock


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it, as far as they are missing; return these, the innermost first."""
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(made)
        if isinstance(error, FileExistsError):  # so says Python where a folder would lie in a file
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        raise
    return made


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _claimed(path: Path) -> tuple[Path, str] | None:
    """Return the innermost folder with a ledger that holds ``path``, links followed, and the path in it."""
    place = Path(os.path.realpath(path.parent)) / path.name
    for folder in place.parents:
        if ".otlib-" in folder.name and _is_ours(folder):  # what is made there has a manifest of its own
            return None
        if _has_ledger(folder):
            return folder, place.relative_to(folder).as_posix()
    return None


def _has_ledger(folder: Path) -> bool:
    file = folder / LEDGER
    if file.is_symlink() or not file.is_file():
        return False
    with open(file, "rb") as opened:
        return opened.read(len(_HEAD) + 1).rstrip(b"\n") == _HEAD


def _leave_nothing(folder: Path, made: bool) -> None:
    """Take away the ledger of a folder in which nothing was written, and the folder if it was made for that."""
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [LEDGER]:
            (folder / LEDGER).unlink()
            if made:
                folder.rmdir()


def _append(folder: Path, line: dict[str, Any]) -> None:
    with open(folder / LEDGER, "ab") as file:
        file.write(b"\n" + json.dumps(line).encode())  # in front, so that a line that a kill cut off spoils no other


def _settle(folder: Path) -> None:
    """Rewrite a ledger with the files as they are, so that it does not tell how often a run was killed."""
    lines = [json.dumps({"path": name, **file_entry(folder / name)}).encode() for name in sorted(ledger(folder))
             if (folder / name).is_file()]
    settled = b"\n".join([_HEAD, *lines])
    if settled != (folder / LEDGER).read_bytes():
        with writable(folder), working_folder(folder / LEDGER) as work:
            with open(work / LEDGER, "wb") as file:
                file.write(settled)
            os.replace(work / LEDGER, folder / LEDGER)


def _signature(path: Path) -> bytes:
    with open(path, "rb") as file:
        begin = file.read(_SAFETENSORS + 1)
    if begin[_SIGNATURE:] == b"\0\0\0\0{":  # after the length of their header, which is any number
        return b"safetensors"
    return b"JSON" if begin[:1] in (b"{", b"[", b'"') else begin[:_SIGNATURE]


def _is_ours(work: Path) -> bool:
    """Say whether a working folder is one; a kill may have come before its lock or the mark in it."""
    if work.is_symlink() or not work.is_dir():
        return False
    lock, names = work / LOCK, os.listdir(work)
    if lock.is_symlink() or not lock.is_file() or lock.stat().st_size > len(MARK):
        return not names
    return lock.read_bytes() == MARK or (names == [LOCK] and MARK.startswith(lock.read_bytes()))


def _clear_leftover(work: Path, clear: Callable[[Path], None]) -> bool | None:
    """Remove a working folder unless another run is at work there; return what :func:`_lock` says."""
    lock = os.open(work / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        if free := _lock(lock):
            clear(work)
        return free
    finally:
        os.close(lock)


def _at_work(path: Path) -> InputError:
    return InputError(f"{path}: another run is writing it; wait until it ends, or choose another folder")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs from looking for working folders in ``folder`` while this one makes or removes its own."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # file systems without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock a file; return False if another process holds the lock, None if the system cannot tell."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _raise(error: OSError) -> None:
    raise error
