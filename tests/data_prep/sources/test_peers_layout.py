"""The processed layout: found, checked by headers, refused in one sentence where it is not whole."""

import os
import pickle
import shutil

import numpy as np
import pytest
import soundfile

from data_prep.raw.npy_and_wav import check_finite, map_motion, read_sound
from data_prep.raw.safe_folder import Folder
from data_prep.sources.peers_layout import is_processed_layout, read_processed_layout
from otlib.errors import InputError
from tests.fixtures.processed_folder import RATE, sound, strip, write_faces, write_processed

VERTICES = 6
GENERATOR = np.random.default_rng(0)
TEMPLATES = {"b_TA": GENERATOR.normal(size=(VERTICES, 3)), "a": GENERATOR.normal(size=(VERTICES, 3))}
CLIPS = {name: GENERATOR.normal(size=(frames, VERTICES, 3)).astype(kind)
         for name, frames, kind in (("b_TA_sentence01", 5, "f8"), ("a_e02", 7, "f4"), ("a_e10", 3, "f4"))}


def pickled(path, value):
    path.write_bytes(pickle.dumps(value))


@pytest.fixture
def folder(tmp_path):
    return write_processed(tmp_path / "data", TEMPLATES, CLIPS, 25.0)


def test_what_is_written_is_read_back(folder):
    layout = read_processed_layout(Folder(folder))
    assert list(layout.clips) == ["a_e02", "a_e10", "b_TA_sentence01"]
    assert layout.left_out == {} and list(layout.templates) == ["b_TA", "a"]
    np.testing.assert_array_equal(layout.faces, strip(VERTICES))
    for subject, template in TEMPLATES.items():
        np.testing.assert_array_equal(layout.templates[subject], template)
    for number, name in ((0, "b_TA_sentence01"), (1, "a_e02")):
        motion_file, sound_file = layout.clips[name]
        motion = map_motion(motion_file, VERTICES)
        assert motion.dtype == CLIPS[name].dtype
        np.testing.assert_array_equal(check_finite(motion, motion_file), CLIPS[name])
        samples, rate = read_sound(sound_file)
        assert rate == RATE and samples.dtype == np.int16
        np.testing.assert_array_equal(samples, sound(len(motion) / 25.0, number))


def test_motion_in_three_axes_and_flat_templates_are_read_too(folder):
    np.save(folder / "vertices_npy/a_e02.npy", CLIPS["a_e02"])
    pickled(folder / "templates.pkl", {subject: template.ravel() for subject, template in TEMPLATES.items()})
    layout = read_processed_layout(Folder(folder))
    np.testing.assert_array_equal(map_motion(layout.clips["a_e02"][0], VERTICES), CLIPS["a_e02"])
    np.testing.assert_array_equal(layout.templates["a"], TEMPLATES["a"])


def test_clips_that_lack_a_part_are_left_out_by_name(folder):
    (folder / "wav/a_e02.wav").unlink()
    (folder / "vertices_npy/a_e10.npy").unlink()
    shutil.copy(folder / "vertices_npy/b_TA_sentence01.npy", folder / "vertices_npy/c_e01.npy")
    shutil.copy(folder / "wav/b_TA_sentence01.wav", folder / "wav/c_e01.wav")
    layout = read_processed_layout(Folder(folder))
    assert list(layout.clips) == ["b_TA_sentence01"]
    assert layout.left_out == {"a_e02": "no sound", "a_e10": "no motion",
                               "c_e01": "no template of a subject 'c' in templates.pkl"}
    (folder / "wav/b_TA_sentence01.wav").unlink()
    with pytest.raises(InputError, match=r"no clip has motion, sound and a template \(a_e02: no sound; a_e10: no motion; "):
        read_processed_layout(Folder(folder))


def test_the_faces_are_found_named_or_asked_for(folder, tmp_path):
    (folder / "templates").mkdir()
    os.rename(folder / "topology.ply", folder / "templates/FLAME_sample.ply")
    np.testing.assert_array_equal(read_processed_layout(Folder(folder)).faces, strip(VERTICES))
    shutil.copy(folder / "templates/FLAME_sample.ply", folder / "templates/other.ply")
    with pytest.raises(InputError, match=r"holds 2 \.ply files \(FLAME_sample.ply, other.ply\); say with --faces"):
        read_processed_layout(Folder(folder))
    write_faces(tmp_path / "face.obj", TEMPLATES["a"], strip(VERTICES)[:2])
    assert len(read_processed_layout(Folder(folder), tmp_path / "face.obj").faces) == 2
    shutil.rmtree(folder / "templates")
    with pytest.raises(InputError, match=r"holds no \.ply file"):
        read_processed_layout(Folder(folder))


def cut(path, share=0.6):
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * share)])


def link_out(path):
    outside = path.parents[2] / f"outside{path.suffix}"  # not in the folder of the layout
    os.rename(path, outside)
    path.symlink_to(outside)


def archive(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros(3))


def edited(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


HOSTILE = {
    "no motion folder": (".", lambda p: shutil.rmtree(p / "vertices_npy"), "vertices_npy: cannot be read as a folder"),
    "no sound folder": (".", lambda p: shutil.rmtree(p / "wav"), "wav: cannot be read as a folder"),
    "cut .npy": ("vertices_npy/a_e02.npy", cut, r"a_e02\.npy: is not a whole \.npy array"),
    "empty .npy": ("vertices_npy/a_e02.npy", lambda p: p.write_bytes(b""), r"a_e02\.npy: is not a whole \.npy array"),
    "pickled .npy": ("vertices_npy/a_e02.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), "is not a whole"),
    "archive": ("vertices_npy/a_e02.npy", archive, "is not a whole .npy array"),
    "text .npy": ("vertices_npy/a_e02.npy", lambda p: np.save(p, np.array(["a"])), "is not a .npy array of numbers"),
    "whole numbers": ("vertices_npy/a_e02.npy", lambda p: np.save(p, np.zeros((3, 18), int)), "the type int64, expected fl"),
    "vertices": ("vertices_npy/a_e02.npy", lambda p: np.save(p, np.zeros((3, 15))), r"shape \(3, 15\), expected \(T, 18\)"),
    "no frames": ("vertices_npy/a_e02.npy", lambda p: np.save(p, np.zeros((0, 18))), r"has shape \(0, 18\)"),
    "cut .ply": ("topology.ply", cut, r"topology\.ply: is damaged, cut short"),
    "faces": ("topology.ply", lambda p: edited(p, b"\x05\0\0\0", b"\x06\0\0\0"), "names vertex 6"),
    "vertices of .ply": ("topology.ply", lambda p: write_faces(p, np.zeros((5, 3)), strip(5)), r"shape \(6, 3\), but .*ply"),
    "cut templates": ("templates.pkl", cut, r"templates\.pkl: is cut short"),
    "no templates": ("templates.pkl", lambda p: p.unlink(), r"templates\.pkl: no such file"),
    "list": ("templates.pkl", lambda p: pickled(p, []), "is not a dictionary from subjects"),
    "text": ("templates.pkl", lambda p: pickled(p, {"a": "x"}), "template of a is not an array"),
    "NaN": ("templates.pkl", lambda p: pickled(p, {"a": np.full((6, 3), np.nan)}), "a holds a value that is"),
    "turned": ("templates.pkl", lambda p: pickled(p, {"a": np.zeros((3, 6))}), r"has shape \(3, 6\)"),
    "name": ("templates.pkl", lambda p: pickled(p, {"../a": np.zeros((6, 3))}), r"gives the name '\.\./a'"),
    "number": ("templates.pkl", lambda p: pickled(p, {7: np.zeros((6, 3))}), "gives the name 7"),
    "two files": ("wav/a_e02.wav", lambda p: shutil.copy(p, p.with_name("A_e02.WAV")), r"has the name of A_e02\.WAV"),
    "cut sound": ("wav/a_e02.wav", cut, r"a_e02\.wav: is cut short, \d+ bytes of \d+; copy it again"),
    "odd name": ("wav/a_e02.wav", lambda p: os.rename(p, p.with_name("a e02.wav")), "gives the name 'a e02'"),
    "linked motion": ("vertices_npy/a_e02.npy", link_out, r"a_e02\.npy: leads out of .*; put the file itself there"),
    "linked sound": ("wav/a_e02.wav", link_out, r"a_e02\.wav: leads out of"),
    "linked faces": ("topology.ply", link_out, "leads out of"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_whole_is_refused_in_one_sentence(folder, name):
    relative, damage, message = HOSTILE[name]
    damage(folder / relative)
    with pytest.raises(InputError, match=message) as caught:
        read_processed_layout(Folder(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_a_linked_folder_itself_is_welcome(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    link = Folder(tmp_path / "link")
    assert is_processed_layout(link) and len(read_processed_layout(link).clips) == 3


def test_frames_that_are_not_finite_are_named(folder):
    motion = np.array(CLIPS["a_e02"])
    motion[4, 2, 1] = np.inf
    with pytest.raises(InputError, match=r"^a\.npy: frame 4 holds a value that is not finite"):
        check_finite(motion, "a.npy")


SOUNDS = {
    "cut": (cut, "is cut short, .* bytes of"),
    "header alone": (lambda p: p.write_bytes(p.read_bytes()[:36]), "is cut short, it holds no samples"),
    "noise": (lambda p: p.write_bytes(b"noise" * 20), "is not a wav file"),
    "empty": (lambda p: soundfile.write(p, np.zeros(0), RATE), "has no samples"),
    "NaN": (lambda p: soundfile.write(p, np.full(9, np.nan), RATE, subtype="FLOAT"), "sample 0 is not a number"),
    "gone": (lambda p: p.unlink(), "no such file"),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_that_is_not_whole_is_refused(folder, name):
    damage, message = SOUNDS[name]
    path = folder / "wav/a_e02.wav"
    damage(path)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        read_sound(path)


def test_sound_of_other_kinds_becomes_16_bits(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([[0.5, 0.25], [-1.0, -0.5], [1.5, 0.75]]), RATE, subtype="FLOAT")
    assert list(read_sound(path)[0]) == [10923, -21845, 32767]  # the louder channel, scaled to its peak
    edited(path, b"data\x18\0\0\0", b"data\xff\xff\xff\xff")  # as a program writes into a pipe
    assert len(read_sound(path)[0]) == 3
