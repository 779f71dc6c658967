"""The doors of training, alignment and encoders, and of the functions that read models and sounds."""

import json
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from otlib.data.dataset import Dataset
from otlib.export.glb import write_glb
from otlib.phonemes import load_aligner
from otlib.predict import load_trained, talk
from otlib.speech.encoder import encode, load_encoder
from otlib.speech.recording import read_recording
from tests.fuzz import options, spoiled
from tests.fuzz.calls import command, function
from tests.fuzz.case import ACCEPTED, EITHER, Door, Trial, Way
from tests.fuzz.doors_of_data import readers_ways, sealed
from tests.fuzz.spoiled import (
    CHOICE,
    CONTENT,
    COUNT,
    ENTRY,
    GONE,
    JSON,
    LIST,
    NOT_A_NUMBER,
    NOT_FINITE,
    NPY,
    NUMBER,
    OBJECT,
    POSITIVE,
    SAFETENSORS,
    TEXT,
    fields,
    put,
    ways,
)
from tests.fuzz.spoiled_media import CUT_SOUND, GOOD_SOUND, SOUND, _Command

_T = "in/training"
_SETTINGS = f"{_T}/settings.json"
_SOUND = (Way("sound", "as it is", lambda trial: None, (), ACCEPTED),)
_NOT_NULL = {name: value for name, value in COUNT.items() if name != "null"}  # null freezes all layers, and is a default
_WHOLE = {name: value for name, value in COUNT.items() if name != "zero"}
_NOT_NEGATIVE = {name: value for name, value in NUMBER.items()}
_SHARE = NUMBER | {"5": "5", "1": "1"}

# what no settings may say; "directions", "variations" and the like are costs, so that they have an upper bound too
_OF_SETTINGS = {
    ("encoder",): TEXT | {"no text": '""', "a name that is nobody's": '"nobody/has-this"', "escapes": '"a\\u001b[31m\\nb"'},
    ("seed",): _WHOLE | {"2^63": str(2**63)},
    ("steps",): COUNT,
    ("batch",): COUNT | {"10^9": "1000000000"},
    ("window",): COUNT | {"1": "1"},
    ("learning_rate",): POSITIVE | {"1e300": "1e300"},
    ("encoder_learning_rate",): POSITIVE,
    ("warm_up",): _SHARE | {"1e300": "1e300"},
    ("weight_decay",): _NOT_NEGATIVE | {"1e300": "1e300"},
    ("frozen_layers",): _NOT_NULL,
    ("variations",): _WHOLE | {"10^6": "1000000"},
    ("validate",): COUNT,
    ("speeds",): LIST
    | {
        "no speed": "[]",
        "texts": '["1"]',
        "NaN in it": "[NaN]",
        "zero in it": "[0]",
        "true in it": "[true]",
        "1e300 in it": "[1e300]",
        "lists": "[[1.0]]",
        "a million": "[" + "1.0," * 10**6 + "1.0]",
    },
    ("loss",): OBJECT,
    ("model",): OBJECT,
    **{
        ("loss", name): _NOT_NEGATIVE | {"1e300": "1e300"}
        for name in ("reconstruction", "velocity", "transport", "lips", "opening", "closure", "normal_weight")
    },
    **{("loss", name): CHOICE for name in ("region", "measure", "sampler")},
    ("loss", "directions"): COUNT | {"10^12": "1000000000000"},
    ("loss", "frames"): COUNT,
    **{
        ("model", name): COUNT | {"10^9": "1000000000"}
        for name in ("width", "heads", "layers", "channels", "terms")
    },
    ("model", "radius"): _WHOLE | {"10^9": "1000000000"},
    **{("model", name): _SHARE for name in ("dropout", "lost", "forgotten")},
    ("model", "shift"): _NOT_NEGATIVE,
    ("model", "heads"): COUNT | {"3, which does not part 8": "3"},
    ("model", "levels"): LIST
    | {
        "one": "5",
        "texts": '["1"]',
        "zero in it": "[0, 8]",
        "none": "[]",
        "a fraction": "[2.5]",
        "10^30": "[" + "1" + "0" * 30 + "]",
        "100,000": "[" + "8," * 10**5 + "8]",
    },
    ("model", "style"): CHOICE,
    ("model", "speakers"): {"of the person's own": '["a"]'},
    ("odd",): {"unknown": "1"},
    ("model", "odd"): {"unknown": "1"},
    ("loss", "odd"): {"unknown": "1"},
    ("model", "feature_layers"): {"of the person's own": "9"},
}
_ALL_SETTINGS = (
    *ways("json", _SETTINGS, (ENTRY, CONTENT, JSON)),
    *fields(_SETTINGS, _OF_SETTINGS),
    *fields(_SETTINGS, {("model", "radius"): {"zero": "0"}}, verdict=ACCEPTED),  # each frame sees itself alone
)
_TRAIN_NUMBERS = {
    "--seed": options.SEED,
    "--steps": options.COUNT,
    "--batch": options.COUNT,
    "--window": options.COUNT,
    "--learning-rate": options.NUMBER,
    "--encoder-learning-rate": options.NUMBER,
    "--frozen-layers": options.SEED,
    "--transport": options.NOT_NEGATIVE,
    "--threads": {**options.COUNT, "10^6": "1000000"},
}


def _trained(place: str) -> Callable[[Trial, str], None]:
    def check(trial: Trial, printed: str) -> None:
        found = list((trial.folder / place).rglob("model.json"))
        assert len(found) == 1, f"{len(found)} models are there"
        trained = load_trained(found[0].parent)
        assert all(value.isfinite().all() for value in trained.model.state_dict().values())

    return check


TRAIN = Door(
    "train",
    command("otlib.train.__main__"),
    (
        *_SOUND,
        *readers_ways(f"{_T}/set"),
        *ways("values", f"{_T}/set/vertices/a0.npy", (NOT_FINITE,), then=sealed(f"{_T}/set")),
        *ways("values", f"{_T}/set/templates/c.npy", (NOT_FINITE,), then=sealed(f"{_T}/set")),
        *options.outputs("--out", f"{_T}/set"),
        *options.evil_outputs("--out"),
        *options.evil_names(f"{_T}/set"),
        *options.evil_names(_SETTINGS, ".json"),
    ),
    ("training",),
    ("--data", f"{_T}/set", "--out", "out", "--settings", _SETTINGS, "--cache", "cache"),
    check=_trained("out"),
)
SETTINGS = Door(
    "settings",
    command("otlib.train.__main__"),
    (
        *_SOUND,
        *_ALL_SETTINGS,
        *options.numbers(_TRAIN_NUMBERS),
        *options.texts(
            "--encoder",
            [
                "",
                "nobody/has-this",
                "in/nowhere",
                "../../../..",
                "a\x1b[31m\nb",
                "x" * 5000,
                "https://example.invalid/x",
                "a b",
                "-",
            ],
            ("encoder", "in/nowhere", "nobody", "x" * 60, "../../../.."),
        ),
    ),
    ("training",),
    ("--data", f"{_T}/set", "--out", "out", "--settings", _SETTINGS, "--cache", "cache"),
    check=_trained("out"),
)


def _cache(spoil: Callable[[Path, np.random.Generator], None]) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        os.rename(trial.folder / f"{_T}/features", trial.folder / "cache")
        files = sorted((trial.folder / "cache").glob("*.npy"))
        spoil(files[int(trial.random.integers(len(files)))], trial.random)

    return change


_STATE = f"{_T}/begun/state.safetensors"
RESUME = Door(
    "resume",
    command("otlib.train.__main__"),
    (
        *_SOUND,
        *(
            way
            for way in ways("checkpoint", _STATE, (ENTRY, CONTENT, SAFETENSORS, NOT_A_NUMBER))
            if "missing" not in way.name
        ),
        *(
            Way("cache", f"a cached feature: {name}", _cache(spoil), ("cache", ".npy"), EITHER)
            for group in (CONTENT, NPY, NOT_FINITE, {name: ENTRY[name] for name in ("no permission", "a pipe", "a folder")})
            for name, spoil in group.items()
            if name != "3 GB of nothing"
        ),
    ),
    ("training",),
    ("--data", f"{_T}/set", "--out", f"{_T}/begun", "--settings", _SETTINGS, "--cache", "cache"),
    outputs=(f"{_T}/begun",),
    many=True,  # a cached feature that cannot be used is told before
    check=_trained(f"{_T}/begun"),
)
_DONE = f"{_T}/done"


def _talk(trial: Trial) -> None:
    trained, data = load_trained(trial.arguments[0]), Dataset.open(f"{_T}/set")
    frames = np.concatenate(
        list(talk(trained, read_recording(data.sequences[0].audio_path), data.template("a"), data.topology))
    )
    print(json.dumps([frames.shape[0], float(np.abs(frames).max())]))


def _said(trial: Trial, printed: str) -> None:
    frames, most = json.loads(printed)
    assert frames == 36 and 0 < most < 1, printed


MODEL = Door(
    "load_trained",
    function(_talk),
    (
        *_SOUND,
        *ways("json", f"{_DONE}/model.json", (ENTRY, CONTENT, JSON), (_DONE,)),
        *ways("safetensors", f"{_DONE}/model.safetensors", (ENTRY, CONTENT, SAFETENSORS, NOT_A_NUMBER), (_DONE,)),
        *fields(
            f"{_DONE}/model.json",
            {
                ("frame_rate",): POSITIVE | {"1e300": "1e300"} | GONE,
                ("encoder",): CHOICE | GONE,
                ("fingerprint",): CHOICE | GONE,
                ("model",): OBJECT | GONE,
                ("model", "odd"): {"unknown": "1"},
                **{
                    ("model", name): COUNT | {"10^9": "1000000000"}
                    for name in (
                        "width",
                        "heads",
                        "layers",
                        "channels",
                        "terms",
                        "feature_layers",
                        "feature_channels",
                        "radius",
                    )
                },
                **{("model", name): _SHARE for name in ("dropout", "lost", "forgotten")},
                ("model", "shift"): _NOT_NEGATIVE,
                ("model", "levels"): LIST | {"none": "[]", "texts": '["a", "b"]', "zero": "[0, 0]"},
                ("model", "style"): CHOICE,
                ("model", "speakers"): {"a number": "17", "numbers": "[1]"},
            },
            (_DONE,),
        ),
        *options.evil_names(_DONE),
    ),
    ("training",),
    (_DONE,),
    outputs=(),
    check=_said,
)

# encoders
_E = "in/encoder"


def _only_pickled(trial: Trial) -> None:
    (trial.folder / f"{_E}/model.safetensors").unlink()
    put(trial.folder / f"{_E}/pytorch_model.bin", pickle.dumps(_Command()))


def _own_code(trial: Trial) -> None:
    path = trial.folder / f"{_E}/config.json"
    path.write_text(
        json.dumps(
            json.loads(path.read_text())
            | {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
        )
    )
    (trial.folder / f"{_E}/mine.py").write_text(f"{spoiled.CODE}\nclass Config: pass\nclass Model: pass\n")


def _listen(trial: Trial) -> None:
    features = encode(load_encoder(trial.arguments[0]), torch.sin(torch.arange(16_000.0) / 9))
    print(json.dumps([*features.shape, bool(features.isfinite().all())]))


def _features(trial: Trial, printed: str) -> None:
    assert json.loads(printed) == [49, 3, 32, True], printed


ENCODER = Door(
    "load_encoder",
    function(_listen),
    (
        *_SOUND,
        *ways("json", f"{_E}/config.json", (ENTRY, CONTENT, JSON), (_E,)),
        *ways("safetensors", f"{_E}/model.safetensors", (ENTRY, CONTENT, SAFETENSORS, NOT_A_NUMBER), (_E,)),
        *fields(
            f"{_E}/config.json",
            {
                ("model_type",): CHOICE,
                ("hidden_size",): COUNT | {"10^9": "1000000000"},
                ("num_hidden_layers",): COUNT | {"10^9": "1000000000"},
                ("num_attention_heads",): COUNT,
                ("intermediate_size",): COUNT,
                ("conv_dim",): LIST | {"none": "[]"},
                ("conv_stride",): LIST | {"zeros": "[0, 0, 0, 0, 0, 0, 0]"},
                ("conv_kernel",): LIST,
            },
            (_E,),
        ),
        Way("code", "a pickle of a command for weights", _only_pickled, (_E,)),
        Way("code", "code of its own", _own_code, (_E,)),
        *options.evil_names(_E, unicode=True),  # transformers opens no other
    ),
    ("encoder",),
    (_E,),
    outputs=(),
    check=_features,
)

# sounds
_S = "in/sounds/speech.wav"


def _recording(trial: Trial) -> None:
    recording = read_recording(trial.arguments[0])
    print(json.dumps([recording.seconds, float(np.abs(recording.samples).max()), float(recording.samples.std())]))


def _heard(trial: Trial, printed: str) -> None:
    seconds, most, spread = json.loads(printed)
    assert (0.9 if "cut" not in trial.arguments else 0) < seconds < 1.3 and 0.05 < most <= 1.0 and 0.01 < spread < 0.5, (
        printed
    )


RECORDING = Door(
    "read_recording",
    function(_recording),
    (
        *_SOUND,
        *ways("sound", _S, (ENTRY, CONTENT, SOUND)),
        *ways("sound", _S, (CUT_SOUND,), verdict=EITHER, then=lambda trial: trial.arguments.append("cut")),
        *(Way("sound", f"good: {way.name}", way.apply, (), ACCEPTED) for way in ways("sound", _S, (GOOD_SOUND,))),
        *options.evil_names(_S, ".wav"),
    ),
    ("sounds",),
    (_S,),
    outputs=(),
    check=_heard,
)


def _aligned(trial: Trial, printed: str) -> None:
    rows = [line.split() for line in printed.splitlines()]
    assert rows and all(math.isfinite(float(row[0])) and float(row[0]) <= float(row[1]) for row in rows), printed[:200]


_BUNDLED = "in/bundled"
ALIGN = Door(
    "align",
    command("data_prep.align.__main__"),
    (
        *_SOUND,
        *ways("sound", _S, (ENTRY, CONTENT, SOUND)),
        *(Way("sound", f"good: {way.name}", way.apply, (), ACCEPTED) for way in ways("sound", _S, (GOOD_SOUND,))),
        *options.evil_names(_S, ".wav"),
        *options.outputs("--json", _S, file=True),
        *(
            Way("name", way.name, lambda trial, way=way: way.apply(trial), (), ACCEPTED)
            for way in options.evil_outputs("--json")
        ),
        *options.texts(
            "--text",
            ["", " ", "...", "😀", "a" * 10**6, "\x00x"[1:] + "\x1b[31m\n", "\udcff", "9" * 5000, "$(touch pwned)"],
            verdict=EITHER,
        ),
        *options.texts("--voice", ["", "nobody", "../../en", "en-us\n", "x" * 5000], verdict=EITHER),
        *options.texts("--backend", ["", "mine"], ("--backend",)),
        *options.texts(
            "--model",
            ["", "nobody/has-this", "in/nowhere", "in/sounds", _S, "/dev/null", "a\x1b[31mb"],
            ("nowhere", "nobody", "in/sounds", "/dev/null", "--model", "no HuBERT"),
        ),
    ),
    ("sounds",),
    (_S, "--backend", "frames"),
    check=_aligned,
)
HEADS = Door(
    "load_aligner",
    function(lambda trial: load_aligner("frames", trial.arguments[0])),
    (
        *_SOUND,
        *ways("safetensors", f"{_BUNDLED}/phonemes.safetensors", (ENTRY, CONTENT, SAFETENSORS, NOT_A_NUMBER), (_BUNDLED,)),
        *ways("json", f"{_BUNDLED}/config.json", (ENTRY, CONTENT, JSON), (_BUNDLED,)),
    ),
    ("bundled",),
    (_BUNDLED,),
    outputs=(),
    every=2,
)
_AMOUNT = {
    "--sentences": options.COUNT,
    "--hours": {**options.NUMBER, "10^9": "1000000000", "1e300": "1e300"},
    "--seed": options.SEED,
}
_ENCODER_NAMES = options.texts(
    "--encoder",
    ["", "in/nowhere", _S, "nobody/has-this"],
    ("in/nowhere", "speech.wav", "nobody", "--encoder", "encoder"),
)
CARD = Door(
    "encoder-card",
    command("data_prep.encoder.model_card"),
    (
        *options.numbers({"--sentences": options.COUNT}),
        *_ENCODER_NAMES,
        *(Way(way.kind, way.name, way.apply, way.words) for way in ways("sound", _S, (ENTRY, CONTENT, SOUND))),
    ),
    ("sounds", "bundled"),
    ("--encoder", _BUNDLED, "--recording", _S, "What is said."),
    every=3,
)
CLASSIFIERS = Door(
    "encoder-heads",
    command("data_prep.encoder.phoneme_classifiers"),
    (
        *options.numbers(_AMOUNT),
        *options.outputs("--out", _E, file=True),
        *_ENCODER_NAMES,
    ),
    ("sounds", "encoder"),
    ("--encoder", _E, "--out", "out"),
    every=3,
)
PRETRAIN = Door(
    "encoder-pretrain",
    command("data_prep.encoder.pretrain"),
    (
        *options.numbers(_AMOUNT | {"--threads": {**options.COUNT, "10^6": "1000000"}}),
        *(
            Way(
                "number",
                f"--steps {steps}",
                lambda trial, steps=steps: trial.option("--steps", *steps),
                ("--steps", "steps"),
            )
            for steps in (("0", "1", "1"), ("-1", "1", "1"), ("1", "nan", "1"), ("1", "1", "1" + "0" * 30))
        ),
        *options.texts("--start", ["in/nowhere", _S, "in/sounds"], ("in/nowhere", "speech.wav", "in/sounds", "--start")),
        *(way for way in options.outputs("--out", _E) if "full" not in way.name),
    ),
    ("sounds", "encoder"),
    ("--out", "out", "--work", "cache", "--hours", "0.001", "--start", _E),
    every=3,
)


def _export(trial: Trial) -> None:
    data = Dataset.open(f"{_T}/set")
    write_glb(trial.arguments[0], np.asarray(data.sequences[0].vertices), data.topology, data.frame_rate)


def _name_it(name: str) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        trial.arguments[0] = name

    return change


GLB = Door(
    "write_glb",
    function(_export),
    (
        *_SOUND,
        *(
            Way("out", f"to {name[:30]}", _name_it(name), ("out", name[:30]))
            for name in (
                "/proc/out.glb",
                "in/training/settings.json/out.glb",
                "x" * 300 + ".glb",
                "/dev/null/out.glb",
                "in/training",
            )
        ),
        Way("out", "on a full disk", lambda trial: setattr(trial, "disk", 10), ("out",)),
    ),
    ("training",),
    ("out.glb",),
    outputs=("out.glb",),
    every=3,
)

DOORS = [TRAIN, SETTINGS, RESUME, MODEL, ENCODER, RECORDING, ALIGN, HEADS, CARD, CLASSIFIERS, PRETRAIN, GLB]
