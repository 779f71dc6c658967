"""Frames as plain numbers, read back by the project's readers of people's files."""

import os

import numpy as np
import pytest

from data_prep.raw.mesh_files import read_mesh
from otlib.errors import InputError
from otlib.export.mesh_frames import FRAMES, write_meshes, write_npy
from otlib.files import read_json
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk


@pytest.fixture
def sequence():
    vertices, faces, _ = ball(1)
    return talk(vertices, 5), faces


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_every_frame_comes_back_exactly(tmp_path, sequence, kind):
    frames, faces = sequence
    write_meshes(tmp_path / "said", frames, faces, FRAME_RATE, kind)
    names = [f"said_{number:06d}.{kind}" for number in range(5)]
    assert sorted(os.listdir(tmp_path / "said")) == sorted([FRAMES.manifest, *names])
    assert read_json(tmp_path / "said" / FRAMES.manifest)["frame_rate"] == FRAME_RATE
    for name, frame in zip(names, frames, strict=True):
        mesh = read_mesh(tmp_path / "said" / name)
        np.testing.assert_array_equal(mesh.vertices.astype(np.float32), frame)
        np.testing.assert_array_equal(mesh.faces, faces)


def test_a_folder_of_ones_own_is_replaced_and_no_other(tmp_path, sequence):
    frames, faces = sequence
    write_meshes(tmp_path / "said", frames, faces, FRAME_RATE, "obj")
    write_meshes(tmp_path / "said", frames[:2], faces, FRAME_RATE, "obj")
    assert len(os.listdir(tmp_path / "said")) == 3
    (tmp_path / "said" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="mine.txt: is not listed in frames.json"):
        write_meshes(tmp_path / "said", frames, faces, FRAME_RATE, "obj")
    assert len(os.listdir(tmp_path / "said")) == 4


def test_an_array_of_all_frames(tmp_path, sequence):
    frames, _ = sequence
    write_npy(tmp_path / "said.npy", iter(frames), len(frames))
    got = np.load(tmp_path / "said.npy", allow_pickle=False)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, frames)


def test_another_number_of_frames_and_another_kind_leave_nothing(tmp_path, sequence):
    frames, faces = sequence
    with pytest.raises(ValueError, match="there are 5, not 6"):
        write_npy(tmp_path / "said.npy", iter(frames), 6)
    with pytest.raises(ValueError, match="kind must be one of obj, ply, not 'stl'"):
        write_meshes(tmp_path / "said", frames, faces, FRAME_RATE, "stl")
    assert os.listdir(tmp_path) == []
