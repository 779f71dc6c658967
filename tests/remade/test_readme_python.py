"""The README's lines of Python do what they say, with the corpus and the model that the notebooks have just left."""

import re

import numpy as np
import pytest
import soundfile
import trimesh

from tests.conftest import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder like the checkout, with two meshes and a recording of a person's own."""
    for name in ("data", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    ball.export(tmp_path / "a.ply")
    moved = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    moved.apply_translation([0.003, 0.0, 0.0])
    moved.export(tmp_path / "b.ply")
    tone = 0.3 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000)
    soundfile.write(tmp_path / "speech.wav", tone, 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_meshes_are_compared(folder, capsys):
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    number, unit = capsys.readouterr().out.split()
    assert unit == "mm" and 1.0 < float(number) < 4.0  # 3 mm along one axis of six, and another triangulation


def test_a_head_is_animated(folder):
    names = {}
    exec(compile(BLOCKS[1], "README.md", "exec"), names)
    assert names["frames"].shape == (30, *names["template"].shape) and np.isfinite(names["frames"]).all()
    assert (folder / "head.glb").stat().st_size > 10_000
