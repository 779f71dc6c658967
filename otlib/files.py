"""Files: read within bounds or refused in one sentence; written whole or not at all, by way of a temporary name."""

import contextlib
import hashlib
import json
import logging
import math
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from otlib.errors import InputError
from otlib.own_files import atomic_write, claim

MOST_BYTES = 1 << 31  # of a file that is read whole; larger ones are mapped
_MOST_TEXT = 1 << 25  # bytes of JSON: an object takes thirty times as many in memory
_MOST_YAML = 1 << 20  # bytes; PyYAML reads a megabyte in ten seconds
_DEEPEST = 64  # levels of lists in lists
_LARGEST_WHOLE = 1 << 64
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def opened(path: Path | str, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading, without waiting: what is no file, such as a named pipe without a writer, is refused.

    Args:
        path: the file.
        most: largest size, bytes.

    Raises:
        InputError: no such file, a folder, a pipe or a device, no permission, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if fault := _fault(os.fstat(descriptor), most):
        os.close(descriptor)
        raise InputError(f"{path}: is {fault}")
    with open(descriptor, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise unreadable(path, error) from error


def _fault(status: os.stat_result, most: int | None) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "a folder; give a file"
    if not stat.S_ISREG(status.st_mode):
        return "a pipe or a device; give a file"
    if most is not None and status.st_size > most:
        return f"too large, {status.st_size:,} bytes; give a file of at most {most:,} bytes"
    return None


def unreadable(path: Path | str, error: Exception) -> InputError:
    """Return an error that says why the system could not read a file or folder."""
    return InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})")


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        most: largest size, bytes.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    with opened(path, most) as file:
        return file.read()


def read_text(path: Path | str, most: int = _MOST_TEXT) -> str:
    """Read a UTF-8 text, with or without a byte order mark; arguments and errors as in :func:`read_bytes`."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it cannot be read, is not JSON, or holds a name twice or something that no data of this project has:
            lists nested more than 64 deep, numbers that are not finite or have 20 digits, or text that is not Unicode.
    """
    return parsed_json(read_text(path), path)


def read_object(path: Path | str) -> dict[str, Any]:
    """Read a JSON file that holds an object; errors as in :func:`read_json`."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: is not a JSON object of names and values")
    return value


def parsed_json(text: str, path: Path | str) -> Any:
    """Return the value of a JSON text, which comes from the file ``path``; errors as in :func:`read_json`."""
    try:
        return _plain(json.loads(text, object_pairs_hook=_names_once), _DEEPEST)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file; errors as in :func:`parsed_yaml`."""
    return parsed_yaml(read_text(path, _MOST_YAML), path)


def parsed_yaml(text: str, where: Path | str) -> Any:
    """Return the value of a YAML text, with JSON's types alone: dates stay text, and references are refused.

    Args:
        text: YAML.
        where: the file or option that holds it, for messages.

    Raises:
        InputError: it is not YAML, has anchors, tags or names that are not text, or holds what :func:`read_json` refuses.
    """
    import yaml

    no_json = [f"tag:yaml.org,2002:{name}" for name in ("timestamp", "merge", "value")]

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {first: [pair for pair in pairs if pair[0] not in no_json]
                                   for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()}

        def compose_node(self, parent: Any, index: Any) -> Any:
            if getattr(event := self.peek_event(), "anchor", None):
                raise ValueError(f"line {event.start_mark.line + 1} has the anchor {event.anchor!r}")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            return _names_once([(self.construct_object(key, True), self.construct_object(value, True))
                                for key, value in node.value])

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)
    try:
        return _plain(yaml.load(text, Loader), _DEEPEST)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: not YAML ({' '.join(str(error).split())})") from error


def _names_once(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    names = set()
    for name, _ in pairs:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r} is not text")
        if name in names:
            raise ValueError(f"the name {name!r} comes twice")
        names.add(name)
    return dict(pairs)


def _plain(value: Any, depth: int) -> Any:
    """Return a value unchanged after a check that everything in it is plain."""
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")
        for part in (value, value.values()) if isinstance(value, dict) else (value,):
            for item in part:
                _plain(item, depth - 1)
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError(f"the text {value!r} is not Unicode")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("it holds a number that is not finite")
    elif isinstance(value, int):
        if abs(value) >= _LARGEST_WHOLE:
            raise ValueError("it holds a number of 20 digits or more")
    elif value is not None:
        raise ValueError(f"it holds a {type(value).__name__}")
    return value


def map_array(path: Path | str) -> np.ndarray:
    """Map a .npy file of numbers read-only; nothing is unpickled.

    Raises:
        InputError: it cannot be read, is cut short, or is no array of numbers with an axis.
    """
    with opened(path):
        pass
    try:
        with np.errstate(over="raise"):  # by a shape too large to count
            array = np.lib.format.open_memmap(path, mode="r")  # unlike np.load it knows no archives and no pickles
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # whatever numpy raises on a header that anyone may have written
        raise InputError(f"{path}: is not a whole .npy array of numbers; copy it again") from error
    if array.dtype.kind not in "iuf" or not array.ndim:
        raise InputError(f"{path}: is not a .npy array of numbers")
    return array


def read_array(path: Path | str) -> np.ndarray:
    """Read a .npy file of numbers; errors as in :func:`map_array`."""
    return np.array(map_array(path))


def kept_array(folder: Path, key: str, read: Callable[[Path], np.ndarray], make: Callable[[], np.ndarray],
               what: str) -> np.ndarray:
    """Return an array that was made before and kept in a folder, or make it and keep it.

    A file that is damaged is told by a warning, left as it is, and not used.

    Args:
        folder: new, empty, or made by this project.
        key: names all that the array follows from.
        read: reads the array from its file; raises InputError if it is damaged.
        make: makes the array.
        what: what the array holds, for the warning.
    """
    file = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    kept = os.path.lexists(file)
    if kept:
        try:
            return read(file)
        except InputError as error:
            _log.warning("%s; %s are made anew every time until it is moved away", error, what)
    array = make()
    if not kept:
        claim(folder)
        with atomic_write(file) as temporary:
            np.save(temporary, array, allow_pickle=False)
    return array


def read_tensors(path: Path | str) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a safetensors file: its tensors and its metadata.

    Raises:
        InputError: it cannot be read, or is cut short or damaged.
    """
    import safetensors

    with opened(path) as own:
        name = path if is_unicode(path) else f"/dev/fd/{own.fileno()}"  # safetensors opens no other names
        try:
            with safetensors.safe_open(name, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        except OSError as error:
            raise unreadable(path, error) from error
        except Exception as error:  # safetensors' own, and torch's about dtypes that it does not know
            raise InputError(f"{path}: is not a whole safetensors file ({error})") from error


def is_unicode(name: Path | str) -> bool:
    """Return whether the name of a file, or what stands on a command line, is text; on Linux it may be any bytes."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def write_tensors(path: Path | str, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically.

    By way of bytes, since safetensors' own writer reports a full disk by an error of its own type.
    """
    import safetensors.torch

    content = safetensors.torch.save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically; NaN is refused because JSON has none."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as a hex string; errors as in :func:`opened`."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def on_disk(blocks: Iterable[np.ndarray], folder: Path | str | None = None) -> np.ndarray:
    """Write blocks one after another to a file without a name and return it as one array; memory holds one block at a time.

    The system removes the file when nobody reads it any more, even if the process is killed.

    Args:
        blocks: (n, ...) of one dtype, with equal shapes beyond the first axis; at least one.
        folder: a folder on the disk that holds the file; None means the system's folder for temporary files.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    folder = Path(folder or tempfile.gettempdir())
    length, block = 0, None
    try:
        file = tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        for block in blocks:
            try:
                file.write(np.ascontiguousarray(block).data)
                file.flush()
            except OSError as error:
                raise _unwritable(folder, error) from error
            length += len(block)
        if not length:  # which no system maps
            return block
        return np.asarray(np.memmap(file, block.dtype, "r+", shape=(length, *block.shape[1:])))


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror or error}); free some space, or name another "
                      "folder for temporary files (TMPDIR)")
