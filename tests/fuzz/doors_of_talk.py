"""The doors of `otlib talk` and `otlib head`: a recording, a head, a list of lips, and where the files go."""

import numpy as np
from PIL import Image

from tests.fuzz import options
from tests.fuzz.calls import command
from tests.fuzz.case import ACCEPTED, Door, Trial, Way
from tests.fuzz.spoiled import CONTENT, ENTRY, ways
from tests.fuzz.spoiled_media import GOOD_SOUND, OBJ, SOUND

_RECORDING, _HEAD, _MODEL = "in/sounds/speech.wav", "in/meshes/head.obj", "in/training/done"
_SAID = "in/sounds/said.txt"


def _spoken(trial: Trial, printed: str) -> None:
    (made,) = (trial.folder / "out").glob("*.npy")
    frames = np.load(made, allow_pickle=False)
    assert frames.ndim == 3 and len(frames) and np.isfinite(frames).all() and np.abs(frames).max() < 2, printed


_OF_A_HEAD = (
    *options.texts("--unit", ["", "inch", "0", "nan", "-1", "1e300"], ("--unit", "unit", "measures")),
    *options.texts("--up", ["", "w", "x\n"], ("--up",)),
    *options.texts("--lips", ["in/nowhere", _RECORDING, "/dev/null"], ("nowhere", "speech.wav", "/dev/null")),
)

TALK = Door(
    "talk",
    command("data_prep.talk.__main__"),
    (
        Way("sound", "as it is", lambda trial: None, (), ACCEPTED),
        *ways("sound", _RECORDING, (ENTRY, CONTENT, SOUND)),
        *(Way("sound", f"good: {way.name}", way.apply, (), ACCEPTED) for way in ways("sound", _RECORDING, (GOOD_SOUND,))),
        *ways("mesh", _HEAD, (ENTRY, CONTENT, OBJ)),
        *options.numbers({"--frame-rate": options.NUMBER}),
        *_OF_A_HEAD,
        *options.texts("--format", ["", "gif", "npy\n"], ("--format",)),
        *options.texts("--keys", ["", "true", "whisper", "frames"], ("--keys", "no key frames")),  # the model has none
        *options.texts("--text", ["", "Hello.", "\udcff", "@", f"@{_SAID}"], ("text",)),
        *ways("text", _SAID, (ENTRY, CONTENT), ("text",), then=lambda trial: trial.option("--text", f"@{_SAID}")),
        *options.outputs("--out", _MODEL),
    ),
    ("sounds", "meshes", "training"),
    (_RECORDING, "--head", _HEAD, "--model", _MODEL, "--format", "npy", "--out", "out"),
    check=_spoken,
)



def _seen(trial: Trial, printed: str) -> None:
    with Image.open(trial.folder / "out") as picture:
        assert picture.size == (3 * 480, 480) and "lips: " in printed, printed


HEAD = Door(
    "head",
    command("data_prep.talk.look"),
    (Way("mesh", "as it is", lambda trial: None, (), ACCEPTED), *ways("mesh", _HEAD, (ENTRY, CONTENT, OBJ)), *_OF_A_HEAD,
     *options.outputs("--out", _HEAD, file=True)),
    ("sounds", "meshes"),
    (_HEAD, "--out", "out"),
    check=_seen,
)

DOORS = [TALK, HEAD]
