"""A folder of a stranger's files: no name or link in it may lead out of it."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from otlib.errors import InputError

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")  # as data_prep.writer requires
_NUMBER = re.compile(r"(\d+)$")


class Folder:
    """A folder that a user names.

    Args:
        path: the folder, or a link to it.

    Raises:
        InputError: there is none.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isdir(path):
            raise InputError(f"{path}: no such folder; give --raw the folder that holds the files")
        self.path, self._root = path, Path(os.path.realpath(path))

    def __str__(self) -> str:
        return str(self.path)

    def file(self, name: str | Path) -> Path:
        """Return the path of a file or folder in it, which need not exist.

        Raises:
            InputError: it is a link that leads out of the folder.
        """
        path = self.path / name
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise InputError(f"{path}: leads out of {self._root}; put the file itself there")
        return path

    def folder(self, name: str | Path) -> "Folder":
        """Return a folder in it, whose links may lead anywhere within the outer folder; errors as for :meth:`file`."""
        inner = object.__new__(Folder)
        inner.path, inner._root = self.file(name), self._root
        return inner

    def holds_folder(self, name: str) -> bool:
        """Return whether there is a folder of that name in it."""
        return os.path.isdir(self.path / name)

    def files(self, suffixes: Collection[str]) -> list[Path]:
        """Return the files with one of the suffixes (lower case), sorted; errors as for :meth:`entries` and :meth:`file`."""
        return [self.file(path.name) for path in self.entries() if path.suffix.lower() in suffixes]

    def entries(self) -> list[Path]:
        """Return all entries that are not hidden, sorted, links unchecked; InputError if the folder cannot be listed."""
        try:
            return sorted(path for path in self.path.iterdir() if path.name[0] != ".")
        except OSError as error:
            raise InputError(f"{self}: cannot be read as a folder ({error.strerror})") from error

    def by_stem(self, suffixes: Collection[str]) -> dict[str, Path]:
        """Return what :meth:`files` does, by the names without suffix; InputError if a name is unsafe or occurs twice."""
        named = dict(self.named(path for path in self.entries() if path.suffix.lower() in suffixes))
        for path in named.values():
            if isinstance(path, InputError):
                raise path
        return named

    def named(self, entries: Iterable[Path]) -> Iterator[tuple[str, Path | InputError]]:
        """Yield each entry's name, without a file's suffix, and its path, or why it cannot be used under that name."""
        folded: dict[str, Path] = {}
        for path in entries:
            name = path.name if os.path.isdir(path) else path.stem
            try:
                if (other := folded.setdefault(name.casefold(), path)) is not path:
                    raise InputError(f"{path}: has the name of {other.name}; keep one of the two")
                safe_name(name, path)
                usable = self.file(path.name)
            except InputError as error:
                usable = error
            yield name, usable

    def numbered(self, suffixes: Collection[str]) -> dict[int, Path]:
        """Return what :meth:`files` does, by the numbers at the end of the names, in ascending order.

        Raises:
            InputError: there is none, one has no number, or two have the same.
        """
        numbered: dict[int, Path] = {}
        for path in self.files(suffixes):
            if (number := _NUMBER.search(path.stem)) is None:
                raise InputError(f"{path}: has no number at the end of its name, so its place among the frames is not known")
            if (other := numbered.setdefault(int(number[1]), path)) is not path:
                raise InputError(f"{path}: has the number of {other.name}; keep one of the two")
        if not numbered:
            raise InputError(f"{self}: holds no {', '.join(suffixes)} files, one a frame")
        return dict(sorted(numbered.items()))


def safe_name(name: object, source: Path) -> str:
    """Return a name that is safe to use as a file's name.

    Raises:
        InputError: it is not text, or could name a file elsewhere; the message names the file ``source`` that gives it.
    """
    if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
        raise InputError(f"{source}: gives the name {name!r}, which cannot name a file; use letters, digits, '_', '-', '.'")
    return name
