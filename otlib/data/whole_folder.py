"""A folder that is either complete or absent, and the only place that decides what it may replace.

Everything is written to a working folder beside the target, `.NAME.otlib-<random>/`. It holds `lock`, `new` (the new
folder) and, during the swap, `old` (the previous one). The previous folder is removed only if it has a manifest of this
project's formats that lists every file with its actual size and SHA-256. The next run cleans up after a killed one: the
lock belongs to the operating system and ends with the process.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from otlib.errors import InputError
from otlib.files import read_json, sha256

try:
    import fcntl
except ModuleNotFoundError:  # Windows: a live run cannot be told from a killed one, so the next run stops
    fcntl = None

LOCK, NEW, OLD = "lock", "new", "old"
MARK = b"working folder of python -m data_prep; a later run removes it\n"  # in the lock: shows that the folder is ours

FileTable = dict[str, dict[str, Any]]  # relative path -> {"sha256", "bytes"}


@dataclass(frozen=True)
class FolderFormat:
    """How to recognise a folder that this project wrote.

    Attributes:
        what: a name for messages, such as "a data set".
        manifest: name of its JSON file, which has "format", "version" and "files", a FileTable of all other files.
        name, version: the manifest's "format" and "version"; a folder of an older version may be replaced too.
    """

    what: str
    manifest: str
    name: str
    version: int


@contextlib.contextmanager
def whole_folder(path: Path | str, form: FolderFormat, finish: Callable[[], None] | None = None) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; put it in place on success, remove it on failure.

    Args:
        path: the folder to make; an existing folder of the same format is replaced at the end.
        form: the folder's format.
        finish: called after the ``with`` block, to write the manifest.

    Raises:
        InputError: the existing ``path`` may not be replaced (:func:`removable`), another run is writing it, or it cannot be
            written.
    """
    path = Path(os.path.abspath(path))
    with _working_folder(path, form) as work:
        with writable(path):
            if os.path.lexists(path):
                removable(path, form)
            (work / NEW).mkdir()
        yield work / NEW
        with writable(path):
            if finish is not None:
                finish()
            if os.path.lexists(path):
                removable(path, form)  # again, since a run takes minutes
                os.replace(path, work / OLD)
            os.replace(work / NEW, path)


def removable(folder: Path, form: FolderFormat) -> list[Path]:
    """Return the contents of a folder in an order in which they can be removed, the manifest last.

    A listed file may be missing, since nothing is lost with it.

    Raises:
        InputError: it is not of the format, holds something that its manifest does not list, or a listed file was changed.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise _foreign(folder, form, "it is a link or a file")
    if not (names := sorted(os.listdir(folder))):
        return []
    if form.manifest not in names:
        raise _foreign(folder, form, f"it holds {names[0]} and no {form.manifest}")
    files = _listed(folder, form)
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    contents = []
    for place, inner, outer in os.walk(folder, topdown=False, onerror=_raise):
        for path in (Path(place, name) for name in sorted(inner + outer)):
            relative = path.relative_to(folder).as_posix()
            if relative == form.manifest or (relative in folders and path.is_dir() and not path.is_symlink()):
                contents.append(path)
            elif relative not in files:
                raise _refusal(path, f"is not listed in {form.manifest}")
            elif path.is_symlink() or not path.is_file() or file_entry(path) != files[relative]:
                raise _refusal(path, f"differs from what {form.manifest} lists")
            else:
                contents.append(path)
    return sorted(contents, key=lambda path: path == folder / form.manifest)


def refuse_overlap(out: Path | str, read: Iterable[Path | str]) -> None:
    """Refuse an output folder that equals, contains or lies in an input, with links followed.

    Raises:
        InputError: the folders overlap.
    """
    for source in read:
        if _lies_in(out, source) or _lies_in(source, out):
            raise InputError(f"{out}: is, holds or lies in {source}, which is read, so nothing is written; choose another "
                             "folder")


def file_entry(path: Path) -> dict[str, Any]:
    """Return a file's entry in a FileTable."""
    return {"sha256": sha256(path), "bytes": os.path.getsize(path)}


def file_table(folder: Path) -> FileTable:
    """Return the entries of all files below a folder."""
    return {path.relative_to(folder).as_posix(): file_entry(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def writable(path: Path | str) -> Iterator[None]:
    """Turn an OSError in the ``with`` block into an InputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); free some space or choose another "
                         "folder") from error


def _listed(folder: Path, form: FolderFormat) -> dict[str, Any]:
    path, manifest = folder / form.manifest, None
    if path.is_file() and not path.is_symlink():
        with contextlib.suppress(ValueError, OSError, RecursionError):
            manifest = read_json(path)
    if (not isinstance(manifest, dict) or manifest.get("format") != form.name or type(manifest.get("version")) is not int
            or not 1 <= manifest["version"] <= form.version or not isinstance(manifest.get("files"), dict)):
        raise _foreign(folder, form, f"its {form.manifest} is not of the format {form.name}, version {form.version} "
                     "or older")
    return manifest["files"]


def _foreign(folder: Path, form: FolderFormat, reason: str) -> InputError:
    return InputError(f"{folder}: exists and is not {form.what} ({reason}), so it is not replaced; choose another folder")


def _refusal(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}, so nothing is replaced; move it away or choose another folder")


def _raise(error: OSError) -> None:
    raise error


def _lies_in(inner: Path | str, outer: Path | str) -> bool:
    place = Path(os.path.realpath(inner))
    return os.path.exists(outer) and any(os.path.exists(ancestor) and os.path.samefile(ancestor, outer)
                                         for ancestor in (place, *place.parents))


@contextlib.contextmanager
def _working_folder(path: Path, form: FolderFormat) -> Iterator[Path]:
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            _clear_leftovers(path, form)
            work = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
            try:
                lock = os.open(work / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                _lock(lock)
                os.write(lock, MARK)
            except BaseException:
                shutil.rmtree(work)
                raise
    try:
        yield work
    finally:
        with writable(path), _alone(path.parent):
            os.close(lock)
            _clear(work, path, form)


def _prefix(path: Path) -> str:
    return f".{path.name}.otlib-"


def _clear_leftovers(path: Path, form: FolderFormat) -> None:
    for work in sorted(path.parent.iterdir()):
        if not re.fullmatch(re.escape(_prefix(path)) + r"[a-z0-9_]{8}", work.name) or not _is_marked(work):
            continue
        lock = os.open(work / LOCK, os.O_RDWR)
        try:
            locked = _lock(lock)
            if locked is None:
                raise InputError(f"{path}: another run is writing it, or was killed, which cannot be told apart for want of "
                                 f"file locks; wait until it ends, or remove {work}")
            if not locked:
                raise InputError(f"{path}: another run is writing it; wait until it ends, or choose another folder")
            _clear(work, path, form)
        finally:
            os.close(lock)


def _is_marked(work: Path) -> bool:
    lock = work / LOCK
    return (not os.path.islink(work) and not os.path.islink(lock) and os.path.isfile(lock)
            and os.path.getsize(lock) == len(MARK) and lock.read_bytes() == MARK)


def _clear(work: Path, path: Path, form: FolderFormat) -> None:
    """Remove a working folder; the previous folder goes back to ``path`` unless a new one is there."""
    old = work / OLD
    if os.path.lexists(old):
        if not os.path.lexists(path):
            os.replace(old, path)
        else:
            for part in removable(old, form):
                part.rmdir() if part.is_dir() else part.unlink()
            old.rmdir()
    shutil.rmtree(work)


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
