"""A checksum of the code that made a result: its modules and all that they import, as syntax trees.

Comments, docstrings, imports, names and places of files do not count, so that a result stays valid after a new comment or a
moved file. Data files beside a module count.
"""

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from otlib.files import sha256

PARTS = ("otlib", "data_prep", "notebooks", "tests")
"""The project's own packages; those of others are identified by their versions."""

_NO_DATA = {".py", ".ipynb", ".md", ".yaml", ".ini", ".json"}


def code_checksum(*modules: str, sources: Iterable[str] = ()) -> str:
    """Return a SHA-256 of modules, of source texts such as a notebook's cells, and of all modules that these import.

    A module is followed wherever it is named: by an import anywhere in the code, or by a string that is its dotted name (a
    program that is started by ``-m``). A name of a package's ``FACE``, a literal dictionary of names and their modules, is
    followed to its module alone. The packages above a module are not followed.

    Args:
        modules: dotted names.
        sources: Python texts; lines that begin with % or ! are left out.

    Raises:
        ValueError: no such module, or a source that is not Python.
    """
    digests, waiting = set(), list(modules)
    for text in sources:
        plain = "\n".join(line for line in text.splitlines() if not line.startswith(("%", "!")))
        try:
            tree = compile(plain, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            raise ValueError(f"not Python: {error}") from error
        waiting += _named(tree)
        digests.add(_digest(tree))
    seen: set[str] = set()
    folders: set[Path] = set()
    while waiting:
        if (module := waiting.pop()) not in seen:
            seen.add(module)
            if (file := _file_of(module)) is None:
                raise ValueError(f"no module {module}")
            digest, imported = _module(file, file.stat().st_mtime_ns)
            digests.add(digest)
            folders.add(file.parent)
            waiting += imported
    digests.update(*map(_data_in, folders))
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


@functools.cache
def _module(file: Path, changed: int) -> tuple[str, tuple[str, ...]]:  # noqa: ARG001 (a changed file is read again)
    tree = ast.parse(file.read_bytes())
    imported = tuple(_named(tree))
    return _digest(tree), imported


def _named(tree: ast.AST) -> Iterator[str]:
    """Yield the project's modules that a tree imports or names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [deeper if _file_of(deeper := f"{node.module}.{alias.name}")
                     else _face(node.module).get(alias.name, node.module) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isascii():
            names = [node.value] if all(word.isidentifier() for word in node.value.split(".")) and "." in node.value else []
        else:
            continue
        for name in names:
            if _file_of(name):
                yield name
                if isinstance(node, ast.Constant) and _file_of(f"{name}.__main__"):
                    yield f"{name}.__main__"


@functools.cache
def _face(package: str) -> dict[str, str]:
    """Return the names that a package offers from its modules, and the module of each; empty if it has no FACE."""
    file = _file_of(package)
    lines = ast.parse(file.read_bytes()).body if file and file.name == "__init__.py" else []
    return next((ast.literal_eval(line.value) for line in lines
                 if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "FACE"), {})


@functools.cache
def _file_of(module: str) -> Path | None:
    """Return the module's file, or None if there is none; nothing is imported."""
    part, *deeper = module.split(".")
    spec = importlib.util.find_spec(part) if part in PARTS else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        place = Path(folder, *deeper)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _digest(tree: ast.Module) -> str:
    """Return the SHA-256 of a tree, which loses its imports and docstrings."""
    return hashlib.sha256(ast.dump(_Plain().visit(tree)).encode()).hexdigest()


class _Plain(ast.NodeTransformer):
    """Removes imports and docstrings from a tree."""

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        return None

    visit_ImportFrom = visit_Import

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [line for line in node.body
                         if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
                                 and isinstance(line.value.value, str))]
        return super().generic_visit(node)


def _data_in(folder: Path) -> set[str]:
    """Return the checksums of the data files in a module's folder and in its subfolders without code."""
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix not in _NO_DATA]
    for inner in folder.iterdir():
        if inner.is_dir() and inner.name != "__pycache__" and not any(inner.rglob("*.py")):
            files += [file for file in inner.rglob("*") if file.is_file() and file.suffix not in _NO_DATA]
    return {sha256(file) for file in files}
