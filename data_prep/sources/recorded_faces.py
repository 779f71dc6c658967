"""Your own recordings: sound, and faces of any topology in motion.

A folder holds, for each recording NAME:

  NAME.wav   the sound
  NAME.npy   the motion, (T, V, 3) or (T, 3V), or a folder NAME with one mesh a frame (.obj, .ply, .glb, .gltf), in the
             order of the numbers at the end of their names
  template.obj (or .ply, .glb, .gltf), the face at rest, mouth shut, which gives the faces; or one for each subject, of one
             topology: templates/SUBJECT.obj

or it has the layout that FaceFormer and its successors share: vertices_npy/, wav/, templates.pkl and a .ply. Motion is in
positions, not offsets, with vertices in the template's order, y up, z out of the face; first remove the motion of the head
as a whole. Names are SUBJECT_SENTENCE, or clips.csv says more (name, subject, sentence, split, text). Without splits of your
own the last tenth of the sentences tests and the tenth before it validates. Lips and upper face are found from the motion
unless you name them. Everything that is missing or does not fit is listed in one message, and then nothing is written.
"""

import argparse
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from data_prep.raw.derived_regions import derive_regions
from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.npy_and_wav import check_finite, map_motion, read_sound
from data_prep.raw.region_files import add_region_arguments, named_regions
from data_prep.raw.units import UNIT_HELP, check_size, metres_per_unit
from data_prep.sources.conversion import Source, SourceClip, convert, faulty_clips, listed, with_lips
from data_prep.sources.recorded_faces_folder import EVERYONE, Recordings, Take, look_through
from otlib.data.check import REQUIRED_REGIONS
from otlib.errors import InputError, shown
from otlib.files import opened
from otlib.settings import FRAME_RATES, number_of

HELP = "your own recordings: wav, and one mesh a frame or one .npy, in any topology; or the peers' processed layout"

_FARTHEST = 0.4  # largest mean distance of a first frame from the template, as a share of the template's mean radius
_USUAL_RATES = (24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 100.0, 120.0)
_SAMPLES = 120  # frames from which regions are found


def read_take(take: Take, template: np.ndarray, faces: np.ndarray, metres: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the frames (T, V, 3) float32 in metres, the samples (S,) int16 and their rate in Hz.

    Args:
        take: the recording.
        template: (V, 3), in metres.
        faces: (F, 3), which every mesh must have.
        metres: metres in one unit of the files.

    Raises:
        InputError: a file is damaged, or a frame does not fit the template.
    """
    samples, rate = read_sound(take.sound)
    frames = read_frames(take, range(take.frames), len(template), faces, metres)
    distance = float(np.linalg.norm(frames[0] - template, axis=1).mean())
    if distance > _FARTHEST * float(np.linalg.norm(template - template.mean(0), axis=1).mean()):
        raise InputError(f"{take.motion}: its first frame lies {distance:.3g} m from the template in the mean, so it is of "
                         "another unit, in another place, or offsets and not positions")
    return frames, samples, rate


def read_frames(take: Take, numbers: range, vertex_count: int, faces: np.ndarray, metres: float) -> np.ndarray:
    """Return some frames of a recording, (N, V, 3) float32 in metres; errors as for :func:`read_take`."""
    frames = np.empty((len(numbers), vertex_count, 3), np.float32)
    if not take.meshes:
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are refused later
            frames[:] = map_motion(take.motion, vertex_count)[numbers.start:numbers.stop:numbers.step]
            return np.multiply(frames, metres, out=frames, dtype=np.float32)
    for frame, number in zip(frames, numbers, strict=True):
        mesh = read_mesh(take.meshes[number])
        if len(mesh.vertices) != vertex_count:
            raise InputError(f"{take.meshes[number]}: has {len(mesh.vertices)} vertices, the template has {vertex_count}")
        if not np.array_equal(mesh.faces, faces):
            raise InputError(f"{take.meshes[number]}: has other faces than the template, so it is cut short or its vertices "
                             "may be in another order")
        with np.errstate(over="ignore", invalid="ignore"):
            frame[:] = metres * mesh.vertices
    return frames


def problems_of(recordings: Recordings, folder: Path, options: argparse.Namespace) -> list[str]:
    """Return the faults of the folder and the options, one sentence each; faults of single recordings are left out."""
    problems = list(recordings.problems)
    for template in recordings.templates.values():
        try:
            check_size(options.unit * template, f"{folder}: the template")
        except InputError as error:
            problems.append(str(error))
            break
    if options.frame_rate is None:
        rate = _apparent_rate(recordings.takes)
        problems.append(f"{folder}: the frame rate is not known; say it with --frame-rate"
                        + (f" (motion and sound are equally long at {rate:g})" if rate else ""))
    return problems


def _apparent_rate(takes: Sequence[Take]) -> float | None:
    """Return the frames a second at which motion and sound are equally long in most recordings, None if none is whole."""
    rates = []
    for take in takes:
        with contextlib.suppress(soundfile.LibsndfileError):
            with opened(take.sound) as file:
                seconds = soundfile.info(file).duration
            if seconds > 0:
                rates.append(take.frames / seconds)
    if not rates:
        return None
    median = float(np.median(rates))
    usual = min(_USUAL_RATES, key=lambda rate: abs(rate - median))
    return usual if abs(usual - median) < 0.02 * usual else round(median, 2)


def build(out: Path | str, recordings: Recordings, folder: Path, options: argparse.Namespace) -> str:
    """Make the data set in the folder ``out``; it is whole or absent.

    Args:
        out: the folder.
        recordings: the contents of ``folder``.
        folder: the folder of recordings.
        options: the options of the command line.

    Returns:
        a report in sentences for people.

    Raises:
        InputError: all faults, one line each.
    """
    problems, faults = problems_of(recordings, folder, options), dict(recordings.incomplete)
    regions: dict[str, np.ndarray] = {}
    templates = {subject: options.unit * template for subject, template in recordings.templates.items()}
    if templates:
        try:
            regions = named_regions(options, recordings.vertex_count)
        except InputError as error:
            problems.append(str(error))
    clips = [_clip(take, templates, recordings.faces, options.unit) for take in recordings.takes if templates]
    if problems or faults or options.leave_out:  # something already prevents a plain conversion, so check all clips
        faults |= faulty_clips(clips, None if problems else options.frame_rate)
        clips = [clip for clip in clips if clip.name not in faults]
        if problems or not clips or not options.leave_out:
            raise InputError(*listed(folder, problems + list(faults.values())))
    derived = [name for name in REQUIRED_REGIONS if name not in regions]
    if derived:
        regions = _derived(recordings, templates, options.unit) | regions
    folder_name = shown(folder.resolve().name)
    provenance = {"tool": "data_prep recordings", "source": folder_name, "metres_per_unit": options.unit,
                  "regions_found_from_motion": derived, "licence": "the recordings' owner's"}
    left_out = {name: reason.removeprefix(f"{name}: ") for name, reason in faults.items()}
    source = Source(folder_name, options.frame_rate, with_lips(recordings.faces, regions),
                    {clip.subject: _template(templates, clip.subject) for clip in clips}, clips, left_out, {}, provenance)
    try:
        report = convert(source, out, thorough=True)
    except InputError as error:
        raise InputError(*listed(folder, error.args)) from error
    if derived:
        report += ("\nfound from the motion, so look at them in a picture or name your own: "
                   + ", ".join(f"{name} ({len(regions[name])} vertices)" for name in derived))
    return report


def _template(templates: Mapping[str, np.ndarray], subject: str) -> np.ndarray:
    return templates.get(subject, templates.get(EVERYONE))


def _clip(take: Take, templates: Mapping[str, np.ndarray], faces: np.ndarray, metres: float) -> SourceClip:
    read = partial(read_take, take, _template(templates, take.row.subject), faces, metres)
    extras = {"text": take.row.text} if take.row.text else {}
    return SourceClip(take.name, take.row.subject, take.row.sentence, take.row.split, take.motion, read, extras)


def _derived(recordings: Recordings, templates: Mapping[str, np.ndarray], metres: float) -> dict[str, np.ndarray]:
    """Find regions in some frames of the subject with the most frames."""
    frame_counts = Counter()
    for take in recordings.takes:
        frame_counts[take.row.subject] += take.frames
    subject, count = frame_counts.most_common(1)[0]
    takes = [take for take in recordings.takes if take.row.subject == subject]
    step = max(1, count // _SAMPLES)
    template = _template(templates, subject)
    frames = [read_frames(take, range(0, take.frames, step), len(template), recordings.faces, metres) for take in takes]
    return derive_regions(template, check_finite(np.concatenate(frames), takes[0].motion))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep recordings`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR", help="the folder of recordings")
    parser.add_argument("--frame-rate", type=number_of(float, FRAME_RATES), metavar="N",
                        help="frames a second of the motion; without it the command says which rate the lengths of sound "
                             "and motion suggest, and ends")
    parser.add_argument("--unit", type=metres_per_unit, default=1.0, metavar="UNIT", help=UNIT_HELP)
    parser.add_argument("--faces", type=Path, metavar="FILE",
                        help="mesh with the faces of a processed layout (default: the .ply in --raw or its templates/)")
    add_region_arguments(parser, "found from the motion", "from 45 mm above the mouth", "found from the motion")
    parser.add_argument("--leave-out", action="store_true",
                        help="leave out faulty recordings, and name them, instead of refusing all")


def run(arguments: argparse.Namespace) -> None:
    """Convert the folder that the options name.

    Raises:
        InputError: everything that is missing, damaged or does not fit, one line each.
    """
    print(build(arguments.out, look_through(arguments.raw, arguments.faces), arguments.raw, arguments))
