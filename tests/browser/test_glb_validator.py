"""Khronos's own glTF validator, run by node, finds nothing wrong in the animated heads."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

_SCRIPT = """
const [, , validatorPath, glbPath] = process.argv;
const validator = require(validatorPath);
const bytes = new Uint8Array(require("fs").readFileSync(glbPath));
validator.validateBytes(bytes, {maxIssues: 100}).then(report => console.log(JSON.stringify(report)));
"""


def validate(glb: Path, node_modules: Path, folder: Path) -> dict:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = folder / "validate.js"
    script.write_text(_SCRIPT)
    run = subprocess.run(
        [node, str(script), str(node_modules / "gltf-validator"), str(glb)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


def test_no_error_no_warning_and_no_hint(talking_glb, node_modules, tmp_path):
    report = validate(talking_glb, node_modules, tmp_path)
    assert report["issues"]["messages"] == []
    assert report["info"]["animationCount"] == 1
    assert report["info"]["hasMorphTargets"] is True
    assert report["info"]["materialCount"] == 3


def test_the_validator_would_notice_a_broken_file(talking_glb, node_modules, tmp_path):
    broken = tmp_path / "broken.glb"
    broken.write_bytes(talking_glb.read_bytes().replace(b'"min":[', b'"min":[9'))
    assert validate(broken, node_modules, tmp_path)["issues"]["numErrors"] > 0
