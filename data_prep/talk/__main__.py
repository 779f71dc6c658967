"""Let a head speak a recording: sound in, a talking head out.

    otlib talk speech.wav                                         a page that plays, in speech_talking/
    otlib talk speech.m4a --format mp4 glb --out films            a film and a file for Blender, Unity, Unreal, three.js
    otlib talk speech.wav --format csv json                       ARKit's 52 weights, for any head that has such shapes
    otlib talk speech.wav --head face.obj                         a head of your own
    otlib talk speech.wav --head face.obj --named --out face.glb  its shapes with ARKit's names, for an engine
    otlib talk speech.wav --head face.obj --unit cm --up z --forward=-y --lips lips.txt
    otlib talk speech.wav --model results/runs/fast/models/ot_talk --out hello.mp4
    otlib talk speech.wav --model results/runs/fast/models/kmtalk --keys pocketsphinx frames --text "What is said."

(`python -m otlib talk` is the same.) Any sound or video of any length will do. The head is the built-in one, or a mesh of
your own with its mouth shut: lips, unit, axes, eyes, teeth and tongue are found on its shape, and what is found is said.
Weights (csv, json) depend on no mesh: the built-in head speaks for them, and what they lose of its motion is said. Of
several channels the one with the voice is heard. A model of KMTalk needs the recording's key frames; --keys and --text say
where they come from.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.align.said import TEXT_HELP, file_of, transcript_of
from data_prep.talk.head import HeadAtRest, add_head_arguments, built_in_head, is_built_in, own_head
from otlib.commands import Parser, command
from otlib.data.whole_folder import refuse_overlap, removable
from otlib.errors import InputError, shown
from otlib.export.formats import FORMATS
from otlib.export.frame_rate import at_frame_rate
from otlib.export.mesh_frames import FRAMES
from otlib.export.talking_head import TalkingHead
from otlib.files import on_disk
from otlib.own_files import check_replaceable, check_writable, own_folder
from otlib.phonemes.key_frames import OF_RECORDINGS
from otlib.settings import FRAME_RATES, number_of
from otlib.speech.recording import read_recording
from otlib.talkers import shipped_talker

_DEFAULT = "html"


def outputs_of(recording: Path, out: Path | None, formats: list[str] | None) -> tuple[Path | None, dict[str, Path]]:
    """Return the folder that is to hold the files, None for a single named file, and the path of each format.

    Args:
        recording: the recording, which gives the names.
        out: a folder, a file whose name ends in its format, or None for a folder beside where the command runs.
        formats: names of FORMATS; None for what ``out`` ends in, or a page.

    Raises:
        InputError: the name of a file ends in another format, or there are several formats for one file.
    """
    ending = out.suffix[1:].lower() if out is not None else ""
    if ending in FORMATS and not out.is_dir():
        formats = formats or [ending]
        if not FORMATS[ending].begin:
            raise InputError(f"{out}: {ending} makes a folder of files; give the name of a folder, and --format {ending}")
        if formats != [ending]:
            raise InputError(f"{out}: is the name of one {ending} file, which cannot hold {' and '.join(formats)}; give a "
                             "folder")
        return None, {ending: out}
    folder = out or Path(f"{recording.stem}_talking")
    return folder, {name: folder / (f"{recording.stem}.{name}" if FORMATS[name].begin else f"{recording.stem}_{name}")
                    for name in formats or [_DEFAULT]}


def _refuse_early(folder: Path | None, paths: dict[str, Path], read: list[Path]) -> None:
    """Refuse, before the work, what could not be written after it."""
    for name, path in paths.items():
        refuse_overlap(path, read)
        if FORMATS[name].begin:
            check_replaceable(path, FORMATS[name].begin)
        elif os.path.lexists(path):
            removable(path, FRAMES)
        check_writable(folder or path)
        FORMATS[name].check()


def _bar(frames: Iterable[np.ndarray], name: str, total: int) -> Iterator[np.ndarray]:
    """Pass on frames, or pictures of them, under a bar."""
    yield from tqdm(frames, desc=name, total=total, unit="frame")


def _counted(stretches: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """Pass on stretches of frames under a bar that counts frames."""
    with tqdm(total=total, desc="talking", unit="frame") as bar:
        for stretch in stretches:
            yield stretch
            bar.update(len(stretch))


def _speaker(options: argparse.Namespace, model: Path, scratch: Path) -> Callable[[HeadAtRest], TalkingHead]:
    """Return a function that lets a head say the recording; the motion lies on the disk of ``scratch``."""
    from otlib.predict import find_keys, load_trained, talk  # torch and transformers take seconds; refusals come before

    trained = load_trained(model)
    rate = options.frame_rate or trained.frame_rate
    recording = read_recording(options.recording, min(rate, trained.frame_rate))
    count = recording.frames(rate)
    keys = find_keys(trained, recording, options.keys or (), transcript_of(options.text), name=str(options.recording))
    if keys is not None:
        for sentence in keys.refused:
            print(f"warning: {sentence}", file=sys.stderr)
        print(f"{shown(options.recording)}: {keys}")

    def spoken(head: HeadAtRest) -> TalkingHead:
        if head.own is None:
            stretches = talk(trained, recording, head.template, head.topology, keys=keys)
        else:
            template, topology, middle = head.own.seen
            stretches = head.own.carried(talk(trained, recording, template, topology, keys=keys, middle=middle))
        if rate != trained.frame_rate:
            stretches = at_frame_rate(stretches, trained.frame_rate, rate, count)
        motion = on_disk(_counted(stretches, count), scratch)
        own = {}
        if head.own is not None:
            frame = head.own.frame
            own = {"metres_per_unit": frame.metres_per_unit, "rotation": None if frame.upright else frame.rotation,
                   "own_faces": head.own.faces}
        return TalkingHead(shown(options.recording.name), motion, head.template, head.topology, rate, recording, **own)

    return spoken


def _talking(options: argparse.Namespace, head: HeadAtRest, spoken: Callable[[HeadAtRest], TalkingHead],
             formats: list[str]) -> dict[str, TalkingHead]:
    """Return who speaks in each format: the head, but the built-in one for weights of its shapes."""
    weights = [name for name in formats if FORMATS[name].of_shapes]
    named = [name for name in formats if options.named and FORMATS[name].names_shapes]
    own = head.own is not None
    talking: dict[str, TalkingHead] = {}
    if not own or len(weights) < len(formats):
        talking = dict.fromkeys(formats, itself := spoken(head))
        if on_itself := named + weights * (not own):
            talking |= dict.fromkeys(on_itself, _solved(itself, head, "low" if own else options.head))
    if own and weights:
        built_in = built_in_head()
        talking |= dict.fromkeys(weights, _solved(spoken(built_in), built_in))
        print(f"{' and '.join(weights)}: spoken by the built-in head, since weights depend on no mesh")
    return talking


def _solved(talking: TalkingHead, head: HeadAtRest, resolution: str = "low") -> TalkingHead:
    from data_prep.talk.named_weights import shapes_of, with_weights

    shapes = shapes_of(head, resolution)
    return with_weights(talking, shapes, partial(_bar, name="weights", total=len(talking.motion)))


def _parser() -> Parser:
    parser = Parser(prog="otlib talk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="sound or video of a voice, any format and length")
    parser.add_argument("--head", default="low", metavar="MESH",
                        help="OBJ, PLY, GLB or glTF; or low, medium or high, the built-in head at this resolution (default: "
                             "low, on which models are trained)")
    add_head_arguments(parser)
    parser.add_argument("--model", type=Path, metavar="FOLDER",
                        help="a trained model, such as results/runs/fast/models/ot_talk (default: the one in the package)")
    parser.add_argument("--out", type=Path, metavar="PATH",
                        help="a folder, or one file whose name ends in its format (default: RECORDING_talking, here)")
    parser.add_argument("--format", nargs="+", choices=FORMATS, metavar="NAME",
                        help="one or several of: " + "; ".join(f"{name}, {kind.what}" for name, kind in FORMATS.items())
                             + f" (default: what --out ends in, or {_DEFAULT})")
    parser.add_argument("--named", action="store_true",
                        help="give shapes of a glb or usd ARKit's names, jawOpen and so on, which tools know, in place of "
                             "principal ones, which follow the motion more closely; to a head of your own they are carried "
                             "from the built-in one, and what is lost is said")
    parser.add_argument("--frame-rate", type=number_of(float, FRAME_RATES), metavar="N",
                        help="frames a second (default: the model's, 30 as a rule); another rate is interpolated linearly "
                             "from the model's frames, and a lower one may miss short closures of the lips")
    parser.add_argument("--keys", nargs="+", choices=OF_RECORDINGS, metavar="SOURCE",
                        help="for a model of KMTalk: where the key frames come from, one or several of "
                             f"{', '.join(OF_RECORDINGS)}, of which each is asked only if those before it refuse (default: "
                             "the source of the model's training)")
    parser.add_argument("--text", help=f"for a model of KMTalk: {TEXT_HELP} (without it an aligner recognises the sounds)")
    return parser


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    built_in = is_built_in(options.head)
    if built_in and (options.lips or options.unit or options.up or options.forward):
        raise InputError("--lips, --unit, --up and --forward are of a mesh of your own; name it with --head")
    model = options.model or shipped_talker()
    formats = list(dict.fromkeys(options.format)) if options.format else None
    folder, paths = outputs_of(options.recording, options.out, formats)
    read = [options.recording, model, options.lips, None if built_in else Path(options.head), file_of(options.text)]
    if options.named and not any(FORMATS[name].names_shapes for name in paths):
        raise InputError("--named is of files with shapes; add --format glb or usd")
    _refuse_early(folder, paths, [path for path in read if path is not None])
    if built_in:
        head = built_in_head(options.head)
    else:
        head = own_head(Path(options.head), options)
        if head.said:
            print(f"{shown(options.head)}: read as {head.said}")
        if options.named and head.own.lips.gap is None:
            raise InputError(f"{shown(options.head)}: the line between its lips is not found, without which shapes cannot "
                             "be carried to it; leave --named out")
    with contextlib.ExitStack() as stack:
        if folder is not None:
            stack.enter_context(own_folder(folder, others=True))
        place = folder or next(iter(paths.values())).absolute().parent
        scratch = next(parent for parent in (place, *place.absolute().parents) if parent.is_dir())
        for name, talking in _talking(options, head, _speaker(options, model, scratch), list(paths)).items():
            path = paths[name]
            report = FORMATS[name].write(path, talking, partial(_bar, name=name, total=len(talking.motion)))
            print(f"{shown(path)}: {report}")
    return 0
