"""Files are read in one place, otlib.files: bounded, named in messages, and at once refused where they are no files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READING = {"json.load", "json.loads", "np.load", "numpy.load", "np.fromfile", "np.loadtxt", "np.genfromtxt", "yaml.load",
           "yaml.safe_load", "torch.load", "safetensors.safe_open", "safetensors.torch.load_file", "safe_open", "load_file",
           "open", "np.lib.format.open_memmap", "pickle.load", "pickle.loads"}
READING_METHODS = {"read_text", "read_bytes"}
OWN = {  # what else reads files, and which: none that a person hands in
    "otlib/files.py": "the readers themselves",
    "otlib/own_files.py": "its ledger, and the first bytes of what it may replace",
    "otlib/code_checksum.py": "the project's code",
    "otlib/inspector/page.py": "comes with the package", "otlib/measures/directions.py": "comes with the package",
    "otlib/export/html.py": "comes with the package",
    "data_prep/head/skin_fill.py": "comes with the package", "data_prep/encoder/model_card.py": "the card that it fills",
    "data_prep/blendshape_face/face.py": "a file that the command has written into a temporary folder",
    "data_prep/encoder/people.py": "comes with the package", "data_prep/encoder/pretrain.py": "its checkpoint",
    "data_prep/encoder/kokoro_speech.py": "packages of a given checksum, and its speakers, of a given length",
    "data_prep/encoder/material.py": "arrays that it keeps for itself",
}


def calls(file):
    """The calls of a file that read, by their line; a round trip through JSON's text reads nothing."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            trip = name == "json.loads" and node.args and ast.unparse(node.args[0]).startswith("json.dumps(")
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if not trip and (name in READING or method in READING_METHODS):
                yield node.lineno


FILES = sorted(file.relative_to(ROOT).as_posix() for part in ("otlib", "data_prep") for file in (ROOT / part).rglob("*.py"))


def test_the_check_sees_what_reads(tmp_path):
    lines = ["json.load(x)", "json.loads(json.dumps(x))", "p.read_text()", "read_text(p)", "open(p)", "_open(p)"]
    (tmp_path / "a.py").write_text("\n".join(lines))
    assert list(calls(tmp_path / "a.py")) == [1, 3, 5]


@pytest.mark.parametrize("file", sorted({*FILES} - OWN.keys()))
def test_files_are_read_by_the_common_readers(file):
    assert list(calls(ROOT / file)) == [], "read it by otlib.files, or say above which files these are"
