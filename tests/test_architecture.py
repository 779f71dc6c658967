"""Imports run one way: otlib <- data_prep <- notebooks, and inside otlib from what is general to what is shown."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("otlib", "data_prep", "notebooks", "tests", "results")
MAY_IMPORT = {"otlib": {"otlib"}, "data_prep": {"otlib", "data_prep"}, "notebooks": {"otlib", "data_prep", "notebooks"},
              "tests": {"otlib", "data_prep", "notebooks", "tests"}}
LAYERS = {  # of otlib: a module imports from its own layer and from those above it in this list
    "foundations": {"errors", "files", "mesh", "normals", "sparse", "sampling", "face_parts", "statistics", "rendering",
                    "torchaudio_guard"},
    "measures, graphs and data": {"measure", "directions", "chebyshev", "hierarchy", "morph_targets", "audio", "hubert",
                                  "prosody", "encoder", "features", "dataset", "dataset_manifest", "dataset_check"},
    "distances, models, losses and metrics": {"sliced", "sliced_cpu", "sliced_kernel", "sliced_torch", "transport",
                                              "transport_kernel", "losses", "temporal", "perturbation", "style", "model",
                                              "metrics", "pretraining", "gltf", "video", "forced_alignment"},
    "training and records": {"checkpoint", "clips", "train_settings", "train", "tuned_encoder", "parallel", "predict",
                             "record", "quoted", "sweeps", "references"},
    "showing": {"viz", "inspector"},
}
LAYER_OF = {module: number for number, modules in enumerate(LAYERS.values()) for module in modules}
SHOWING = LAYERS["showing"]


def name_of(file: Path) -> str:
    """The module's dotted name; a package is named without __init__."""
    parts = file.relative_to(ROOT).with_suffix("").parts
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


def unit_of(module: str) -> str | None:
    """The module or package right under otlib."""
    parts = module.split(".")
    return parts[1] if parts[0] == "otlib" and len(parts) > 1 else None


def test_the_check_sees_the_project():
    assert {"otlib.model", "otlib.metrics.mouth", "data_prep.synthetic", "notebooks.run"} <= MODULES
    assert ("otlib.losses", "otlib.measure") in IMPORTS and ("otlib.sliced", "otlib.sliced_torch") in IMPORTS


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_parts_import_one_way(part):
    wrong = [f"{module} imports {target}" for module, target in IMPORTS
             if module.split(".")[0] == part and (top := target.split(".")[0]) in PARTS and top not in MAY_IMPORT[part]]
    assert wrong == []


def test_otlib_imports_no_espeak():
    """espeak-ng is GPL and prepares data only."""
    assert [f"{module} imports {target}" for module, target in IMPORTS
            if module.startswith("otlib") and "espeak" in target.lower()] == []


def test_every_module_of_otlib_has_its_layer():
    unplaced = sorted({unit for module in MODULES if (unit := unit_of(module)) and unit not in LAYER_OF})
    assert unplaced == [], "give them a layer in LAYERS of this test"


def test_layers_of_otlib_import_upwards_only():
    wrong = [f"{module} imports {target}" for module, target in IMPORTS
             if (one := unit_of(module)) in LAYER_OF and (other := unit_of(target)) in LAYER_OF
             and LAYER_OF[other] > LAYER_OF[one]]
    assert wrong == []


def test_what_shows_is_imported_by_nothing_else_in_otlib():
    assert [f"{module} imports {target}" for module, target in IMPORTS
            if unit_of(target) in SHOWING and module.startswith("otlib") and unit_of(module) not in SHOWING] == []


def test_pictures_do_not_need_the_inspector():
    assert [f"{module} imports {target}" for module, target in IMPORTS
            if unit_of(module) == "viz" and unit_of(target) == "inspector"] == []


def test_no_modules_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for module, target in IMPORTS:
        if target in MODULES and target != module:
            graph.setdefault(module, set()).add(target)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_library_prints_in_command_lines_only():
    wrong = []
    for module, tree in TREES:
        if module.startswith("otlib"):
            mains = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "main"]
            allowed = {id(node) for main in mains for node in ast.walk(main)}
            wrong += [f"{module}:{node.lineno}" for node in ast.walk(tree) if isinstance(node, ast.Call)
                      and isinstance(node.func, ast.Name) and node.func.id == "print" and id(node) not in allowed]
    assert wrong == []


def test_annotations_are_evaluated():
    """jaxtyping checks shapes in the test run; annotations kept as strings would not be checked."""
    assert [module for module, target in IMPORTS if target == "__future__"] == []
