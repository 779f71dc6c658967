"""A folder that is either complete or absent, with a manifest that decides what in it may be replaced.

Everything is written to a working folder beside the target (:func:`otlib.own_files.working_folder`), which holds ``new``
(the new folder) and, during the swap, ``old`` (the previous one). The previous folder is removed only if it has a manifest
of this project's formats that lists every file with its actual size and SHA-256.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otlib.errors import InputError
from otlib.files import read_json
from otlib.own_files import file_entry, only_listed, working_folder, writable

NEW, OLD = "new", "old"

FileTable = dict[str, dict[str, Any]]  # relative path -> {"sha256", "bytes"}


@dataclass(frozen=True)
class FolderFormat:
    """How to recognise a folder that this project wrote.

    Attributes:
        what: a name for messages, such as "a data set".
        manifest: name of the JSON file that has "format", "version" and "files", a FileTable of all other files.
        name, version: the manifest's "format" and "version"; a folder of an older version may be replaced too.
    """

    what: str
    manifest: str
    name: str
    version: int


@contextlib.contextmanager
def whole_folder(path: Path | str, form: FolderFormat, finish: Callable[[], None] | None = None) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; move it to ``path`` on success, remove it on failure.

    Args:
        path: the folder to make; an existing folder of the same format is replaced at the end.
        form: the folder's format.
        finish: called after the ``with`` block, to write the manifest.

    Raises:
        InputError: the existing ``path`` may not be replaced (:func:`removable`), another run is writing it, or it cannot be
            written.
    """
    path = Path(os.path.abspath(path))
    with working_folder(path, lambda work: _clear(work, path, form), single=True) as work:
        with writable(path):
            if os.path.lexists(path):
                removable(path, form)
            (work / NEW).mkdir()
        yield work / NEW
        with writable(path):
            if finish is not None:
                finish()
            if os.path.lexists(path):
                removable(path, form)  # again, since minutes have passed
                os.replace(path, work / OLD)
            os.replace(work / NEW, path)


def remove_whole(path: Path, form: FolderFormat) -> None:
    """Remove a folder and what killed runs left of it; errors as in :func:`whole_folder`."""
    with working_folder(path, lambda work: _clear(work, path, form), single=True), writable(path):
        if os.path.lexists(path):
            _remove(path, form)


def removable(folder: Path, form: FolderFormat, contents: bool = True) -> list[Path]:
    """Return the contents of a folder in an order in which they can be removed, the manifest last.

    A listed file may be missing, since nothing is lost then.

    Args:
        folder: an existing folder.
        form: the format that it must have.
        contents: whether the bytes of the files count, not their names alone; a data set has gigabytes to look at.

    Raises:
        InputError: the folder is not of the format or holds a file that its manifest does not list, or a listed file was
            changed.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise _foreign(folder, form, "it is a link or a file")
    if not (names := sorted(os.listdir(folder))):
        return []
    if form.manifest not in names:
        raise _foreign(folder, form, f"it holds {names[0]} and no {form.manifest}")
    files = {name: [entry] if contents else None for name, entry in _listed(folder, form).items()} | {form.manifest: None}
    return sorted(only_listed(folder, files, form.manifest), key=lambda path: path == folder / form.manifest)


def refuse_overlap(out: Path | str, read: Iterable[Path | str]) -> None:
    """Refuse an output folder that equals, contains or lies in an input, with links followed.

    Raises:
        InputError: the folders overlap.
    """
    for source in read:
        if _lies_in(out, source) or _lies_in(source, out):
            raise InputError(f"{out}: is, holds or lies in {source}, which is read, so nothing is written; choose another "
                             "folder")


def file_table(folder: Path) -> FileTable:
    """Return the entries of all files below a folder."""
    return {path.relative_to(folder).as_posix(): file_entry(path) for path in sorted(folder.rglob("*")) if path.is_file()}


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


def _lies_in(inner: Path | str, outer: Path | str) -> bool:
    place = Path(os.path.realpath(inner))
    return os.path.exists(outer) and any(os.path.exists(ancestor) and os.path.samefile(ancestor, outer)
                                         for ancestor in (place, *place.parents))


def _clear(work: Path, path: Path, form: FolderFormat) -> None:
    """Remove a working folder; the previous folder goes back to ``path`` unless a new one is there."""
    old = work / OLD
    if os.path.lexists(old):
        if not os.path.lexists(path):
            os.replace(old, path)
        else:
            _remove(old, form)
    shutil.rmtree(work)


def _remove(folder: Path, form: FolderFormat) -> None:
    for part in removable(folder, form):
        part.rmdir() if part.is_dir() else part.unlink()
    folder.rmdir()
