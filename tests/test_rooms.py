"""Rooms import one way: what each folder may import, one line each, and no circle among them."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("otlib", "data_prep", "notebooks", "tests", "results")
MAY_IMPORT = {  # a folder, or a file directly in its part: what it may import of its part, and the other parts
    "otlib": "speech",  # only to install the guard of torchaudio
    "otlib.errors": "",
    "otlib.checks": "",
    "otlib.topology": "",
    "otlib.own_files": "errors",
    "otlib.files": "errors own_files",
    "otlib.commands": "errors",
    "otlib.settings": "errors",
    "otlib.code_checksum": "files",
    "otlib.meshes": "checks",
    "otlib.measures": "checks files meshes",
    "otlib.models": "meshes settings topology",
    "otlib.heads": "errors topology",
    "otlib.losses": "checks measures settings topology",
    "otlib.speech": "errors files own_files settings",
    "otlib.data": "errors files own_files phonemes settings topology",
    "otlib.phonemes": "errors files own_files settings speech",
    "otlib.metrics": "checks measures phonemes topology",
    "otlib.train": "checks commands data errors files own_files losses meshes metrics models phonemes code_checksum "
                   "settings speech topology",
    "otlib.predict": "data errors files models phonemes settings speech train topology",
    "otlib.viz": "commands errors files measures phonemes topology",
    "otlib.__main__": "commands errors measures settings train data_prep",  # where the commands meet; data_prep lazily
    "otlib.inspector": "files losses measures meshes viz topology",
    "otlib.export": "data errors files speech topology viz",
    "otlib.talkers": "errors",
    "data_prep": "otlib",
    "data_prep.raw": "otlib",
    "data_prep.head": "otlib",
    "data_prep.writer": "otlib",
    "data_prep.make_direction_designs": "otlib",
    "data_prep.corpus": "head writer otlib",
    "data_prep.card": "corpus head otlib",
    "data_prep.sources": "raw writer otlib",
    "data_prep.blendshape_face": "head otlib",
    "data_prep.ict": "blendshape_face corpus head raw otlib",
    "data_prep.makehuman": "blendshape_face corpus head otlib",
    "data_prep.weights": "blendshape_face ict makehuman otlib",
    "data_prep.arkit": "blendshape_face head ict makehuman raw sources weights otlib",
    "data_prep.align": "corpus otlib",
    "data_prep.talk": "align head raw sources otlib",
    "data_prep.encoder": "align corpus otlib",
    "data_prep.__main__": "arkit card corpus ict makehuman sources weights writer otlib",
    "notebooks": "driver exercises experiments figures otlib data_prep",  # the notebooks themselves
    "notebooks.conftest": "driver experiments otlib",
    "notebooks.exercises": "otlib",
    "notebooks.figures": "otlib",
    "notebooks.experiments": "otlib",
    "notebooks.driver": "experiments otlib data_prep",
}
AT_MOST = {"otlib": 12, "data_prep": 4, "notebooks": 2}  # Python files directly in it


def name_of(file: Path) -> str:
    """The module's dotted name; a package is named without __init__, a notebook by its part."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    if file.suffix == ".ipynb":
        return parts[0]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def trees() -> Iterator[tuple[str, ast.AST]]:
    """Every module of the project, and every notebook as one, parsed."""
    for part in PARTS:
        for file in sorted((ROOT / part).rglob("*.py")):
            if "node_modules" not in file.parts:
                yield name_of(file), ast.parse(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in file.parts:
            continue
        for cell in nbformat.read(file, as_version=4).cells:
            if cell.cell_type == "code":
                plain = "\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
                yield name_of(file), compile(plain, file.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


TREES = list(trees())
MODULES = {name for name, _ in TREES}


def imported(module: str, tree: ast.AST) -> Iterator[str]:
    """What a module imports anywhere in it, by dotted name, as deep as it names modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports relative to itself; name the whole path"
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield deeper if deeper in MODULES else node.module


IMPORTS = [(module, target) for module, tree in TREES for target in imported(module, tree)]


def room_of(module: str) -> str:
    """The part and what lies directly in it."""
    return ".".join(module.split(".")[:2])


def test_the_check_sees_the_project():
    assert {"otlib.models.ottalk", "otlib.metrics.closures", "data_prep.corpus.synthetic", "notebooks.driver.run"} <= MODULES
    assert {("otlib.losses", "otlib.measures.measure"), ("otlib.predict", "otlib.models.ottalk")} <= set(IMPORTS)


def test_every_room_has_its_line():
    rooms = {room_of(module) for module in MODULES if module.split(".")[0] in ("otlib", "data_prep", "notebooks")}
    assert rooms == set(MAY_IMPORT), "give a room its line in MAY_IMPORT of this test, or take the line of a gone one away"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_its_line_says(room):
    part = room.split(".")[0]
    allowed = {word if word in PARTS else f"{part}.{word}" for word in MAY_IMPORT[room].split()} | {room, part}
    wrong = [f"{module} imports {target}" for module, target in IMPORTS if room_of(module) == room
             and target.split(".")[0] in PARTS and not {room_of(target), target.split(".")[0]} & (allowed - {part})
             and room_of(target) != part]
    assert wrong == []


def test_otlib_imports_data_prep_in_its_commands_alone_and_only_when_they_run():
    importing = {module for module, target in IMPORTS if module.startswith("otlib") and target.startswith("data_prep")}
    at_once = [node for node in dict(TREES)["otlib.__main__"].body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert importing == {"otlib.__main__"}
    assert not any("data_prep" in ast.unparse(node) for node in at_once)


def test_nobody_imports_tests_or_results():
    assert [f"{module} imports {target}" for module, target in IMPORTS
            if not module.startswith("tests") and target.split(".")[0] in ("tests", "results")] == []


@pytest.mark.parametrize("depth", [2, None])
def test_no_rooms_and_no_modules_import_each_other_in_a_circle(depth):
    graph: dict[str, set[str]] = {}
    for module, target in IMPORTS:
        one, other = (".".join(name.split(".")[:depth]) for name in (module, target))
        if target in MODULES and one != other:
            graph.setdefault(one, set()).add(other)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("part", AT_MOST)
def test_the_plan_shows_from_the_folders(part):
    files = sorted(file.name for file in (ROOT / part).glob("*.py"))
    assert len(files) <= AT_MOST[part], files


def test_otlib_imports_no_espeak():
    """espeak-ng is GPL and prepares data only."""
    assert [f"{module} imports {target}" for module, target in IMPORTS
            if module.startswith("otlib") and "espeak" in target.lower()] == []


def test_the_library_prints_in_command_lines_only():
    wrong = []
    for module, tree in TREES:
        if module.startswith("otlib") and module != "otlib.commands":
            mains = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "main"]
            allowed = {id(node) for main in mains for node in ast.walk(main)}
            wrong += [f"{module}:{node.lineno}" for node in ast.walk(tree) if isinstance(node, ast.Call)
                      and isinstance(node.func, ast.Name) and node.func.id == "print" and id(node) not in allowed]
    assert wrong == []


def test_annotations_are_evaluated():
    """jaxtyping checks shapes in the test run; annotations kept as strings would not be checked."""
    assert [module for module, target in IMPORTS if target == "__future__"] == []
