"""Public functions take few arguments: what travels together is one object, and who needs more says why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FREE, MOST = 6, 8  # arguments without a reason, and with one
NUMBERS = {7: "Seven", 8: "Eight"}
EXCEPTIONS: set[str] = set()


def public_functions(tree: ast.Module, module: str) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Yield name, node and docstring of each public function, method and constructor; a constructor's is its class's."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and (inner.name == "__init__" or not inner.name.startswith("_")):
                    documented = node if inner.name == "__init__" else inner
                    yield f"{module}.{node.name}.{inner.name}", inner, ast.get_docstring(documented) or ""
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}", node, ast.get_docstring(node) or ""


def count(node: ast.FunctionDef) -> int:
    """Return how many arguments a function takes, beside the object or class it belongs to."""
    arguments = node.args
    named = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(named) - (named[:1] in (["self"], ["cls"])) + (arguments.vararg is not None) + (arguments.kwarg is not None)


FUNCTIONS = {name: (count(node), words) for part in ("otlib", "data_prep", "notebooks")
             for file in sorted((ROOT / part).rglob("*.py"))
             for name, node, words in public_functions(ast.parse(file.read_text(encoding="utf-8")),
                                                       ".".join(file.relative_to(ROOT).with_suffix("").parts))}


def test_the_check_sees_functions_methods_and_constructors():
    assert FUNCTIONS["otlib.losses.losses"][0] == 6
    assert FUNCTIONS["otlib.topology.Topology.gap_mm"][0] == 1
    assert FUNCTIONS["otlib.viz.heads.HeadRenderer.__init__"][0] == 5
    assert FUNCTIONS["otlib.speech.small_hubert.local_attention"][0] == 8  # its rest, ``**_``, counts as one
    source = "class A:\n    def f(self, a, /, b, *c, d, **e): ...\n    def _g(self): ...\ndef _h(): ...\n"
    assert [(name, count(node)) for name, node, _ in public_functions(ast.parse(source), "m")] == [("m.A.f", 5)]


@pytest.mark.parametrize("name", sorted(name for name, (number, _) in FUNCTIONS.items() if number > FREE))
def test_who_takes_more_than_six_arguments_says_why_and_nobody_takes_more_than_eight(name):
    number, words = FUNCTIONS[name]
    assert number <= MOST or name in EXCEPTIONS, "put what travels together into an object"
    reason = rf"\b{NUMBERS.get(number)} arguments(, since|, of which|, one|, as|:) \w+"
    assert re.search(reason, " ".join(words.split())), f"its docstring lacks: '{NUMBERS.get(number)} arguments, since ...'"
