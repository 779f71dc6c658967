"""A data set's card as a page: its size, pictures, how it moves beside a real clip, and what it promises.

Every number on the page is one of :func:`data_prep.card.measure`'s, which lie beside it as JSON.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.card.measure import CLOSED_GAP_MM, known_letters, measure
from data_prep.corpus.articulatory_targets import LABIODENTALS
from otlib.data.dataset import Dataset, Sequence
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError, shown
from otlib.files import atomic_write, write_json
from otlib.own_files import own_folder
from otlib.phonemes.timed_phoneme import BILABIALS, Phoneme
from otlib.viz.can_render import RenderingUnavailable, ensure_rendering

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE, FIGURES = "card.md", "card.json"
VISEMES = {"p b m": BILABIALS, "f v": LABIODENTALS, "a": frozenset("aɑæ"), "i": frozenset("i"), "u": frozenset("uʉ")}
_SHOWN_SPEAKERS = 8
# what a corpus worth learning from achieves; the project's own aims
_CLOSED_SHARE, _FACTOR, _WIDTH_MM, _AREA_RATIO, _OVERLAP_MM, _OFFSET_MS = 0.95, 1.5, 5.0, 0.05, 0.1, 10.0


def promises(figures: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Return for each promise of the corpus its text, the measurement and whether it is kept; unmeasured ones are left out.

    Args:
        figures: the result of :func:`data_prep.card.measure`.
    """
    real, surface, offsets = figures["real_clip"], figures["surface"], figures["closure_offset_ms"]
    rows = []
    if figures["closed_share"] is not None:
        rows.append((f"lip gap under {CLOSED_GAP_MM:g} mm in at least {_CLOSED_SHARE:.0%} of p, b and m",
                     f"{figures['closed_share']:.1%} of {figures['closures']:,}", figures["closed_share"] >= _CLOSED_SHARE))
    extent, real_extent = (high - low for low, high in (figures["lip_gap_mm"], real["lip_gap_mm"]))
    for name, measured, reference, unit in (
            ("range of the lip gap", extent, real_extent, "mm"),
            ("mean lip speed", figures["lip_speed_mm_per_frame"], real["lip_speed_mm_per_frame"], "mm a frame")):
        ratio = measured / reference
        rows.append((f"{name} within a factor {_FACTOR:g} of the real clip's ({reference:.3g} {unit})",
                     f"{measured:.3g} {unit}, {ratio:.2f} times", 1 / _FACTOR <= ratio <= _FACTOR))
    if None not in (figures["spread_width_mm"], figures["rounded_width_mm"]):
        wider = figures["spread_width_mm"] - figures["rounded_width_mm"]
        rows.append((f"mouth at least {_WIDTH_MM:g} mm wider in spread than in rounded vowels", f"{wider:.1f} mm",
                     wider >= _WIDTH_MM))
    if offsets is not None and offsets["shut"]["largest"] is not None:
        largest = max(offsets[name]["largest"] for name in ("pressed", "shut"))
        rows.append((f"without lead or lag, closures within {_OFFSET_MS:g} ms of their phoneme's centre",
                     f"at most {largest:.1f} ms off", largest <= _OFFSET_MS))
    rows.append((f"in {surface['frames']:,} random frames no face smaller than {_AREA_RATIO:g} of its area at rest",
                 f"smallest {surface['smallest_area_ratio']:.2f}", surface["smallest_area_ratio"] >= _AREA_RATIO))
    if surface["lip_overlap_mm"] is not None:
        rows.append((f"in the same frames lips that cross by no more than {_OVERLAP_MM:g} mm",
                     f"at most {surface['lip_overlap_mm']:.2f} mm", surface["lip_overlap_mm"] <= _OVERLAP_MM))
    return rows


def write_page(dataset: Dataset, folder: Path | str, figures: dict[str, Any] | None = None) -> Path:
    """Write the card as Markdown, its figures as JSON and its pictures as PNG; return the page's path.

    Args:
        dataset: any data set.
        folder: the folder to write into; files of an earlier card are replaced, unless they were changed.
        figures: the result of :func:`data_prep.card.measure`, if it is known already.

    Raises:
        InputError: the folder cannot be written, or packages that draw are not installed.
        RenderingUnavailable: this machine cannot draw in 3-D; the page is written without the pictures of heads.
    """
    folder, figures = Path(folder), figures or measure(dataset)
    try:
        from otlib.viz import show
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed, which draws the card's pictures: "
                         "`pip install otlib[notebook]` brings it") from error
    unable = None
    try:
        ensure_rendering()
    except RenderingUnavailable as error:
        unable = error
    pictures = []
    for name, figure, alt in _pictures(dataset, in_3d=unable is None):
        show(figure, alt, folder / name)
        alt = escaped(alt)
        pictures.append(f"![{alt}]({name})\n\n{alt}")
    write_json(folder / FIGURES, figures)
    with atomic_write(folder / PAGE) as temporary:
        temporary.write_text(page(dataset, figures, pictures), encoding="utf-8")
    if unable:
        raise unable
    return folder / PAGE


def escaped(text: Any) -> str:
    """Return a text, such as a name, as one line of Markdown that shows it literally; a very long one is cut."""
    return re.sub(r"[\\`*_\[\]<>&|~$#!@]|(?<=[a-z]):(?=//)|(?<=www)\.", r"\\\g<0>", shown(text))


def page(dataset: Dataset, figures: dict[str, Any], pictures: list[str]) -> str:
    """Return the card's Markdown."""
    provenance = dataset.provenance
    made = ", ".join(f"{name} {provenance[name]}" for name in ("tool", "seed") if name in provenance)
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items())
    origin = {"Made by": made, "With": versions, "Licence": provenance.get("licence"),
              "Parameters": _in_words(provenance.get("parameters"))}
    facts = {name: escaped(value) for name, value in origin.items() if value} | {
             "Checksum": f"`{figures['checksum']}`",
             "Mesh": f"{figures['vertices']:,} vertices, {figures['faces']:,} faces, {dataset.frame_rate:g} frames a second"}
    sizes = [(split, *(f"{amount[key]:,}" for key in ("speakers", "sentences", "sequences")), f"{amount['minutes']:.1f}")
             for split, amount in figures["splits"].items()]
    outcomes = [(promise, measured, "yes" if kept else "**no**") for promise, measured, kept in promises(figures)]
    return "\n\n".join([
        f"# Data card: {escaped(dataset.name)}",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        _table(("split", "speakers", "sentences", "sequences", "minutes"), sizes),
        *pictures,
        "## How it moves",
        _table(("", "this data set", "a real clip"), list(_beside_the_real_clip(figures))),
        "The real clip is one of 4 s at 30 frames a second, measured for this project, which does not hold it. The lip gap "
        "here goes from the 1st to the 99th percentile of all frames, so that no single frame decides. The frozen template "
        "is a face that never moves; *largest* is over the lips of a frame, then the mean over frames.",
        "## What it promises",
        _table(("promise", "measured", "kept"), outcomes),
        f"All numbers are in [`{FIGURES}`]({FIGURES}).",
    ]) + "\n"


def _beside_the_real_clip(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    real = figures["real_clip"]
    gaps = ("{:.1f} to {:.1f}".format(*one["lip_gap_mm"]) for one in (figures, real))
    yield "lip gap (mm)", *gaps
    for what, key, real_key in (
            ("mean lip speed (mm a frame)", "lip_speed_mm_per_frame", "lip_speed_mm_per_frame"),
            ("frozen template, largest lip distance (mm)", "template_lip_error_mm", "frozen_template_lip_error_mm"),
            ("frozen template, mean vertex distance (mm)", "template_vertex_error_mm",
             "frozen_template_mean_vertex_error_mm")):
        yield what, f"{figures[key]:.2f}", f"{real[real_key]:.2f}"
    for what, key in (("mouth wider than at rest in spread vowels (mm)", "spread_width_mm"),
                      ("mouth wider than at rest in rounded vowels (mm)", "rounded_width_mm")):
        if figures[key] is not None:
            yield what, f"{figures[key]:.1f}", "–"
    styled = figures["styled"]
    if styled["sequences"]:
        yield ("largest lip distance of the speaker from the mean style (mm)",
               f"{styled['mean_style_lip_error_mm']:.2f} (frozen template {styled['template_lip_error_mm']:.2f})", "–")


def _in_words(parameters: Any) -> str | None:
    return json.dumps(parameters, ensure_ascii=False).replace('"', "")[1:-1] if parameters else None


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pictures(dataset: Dataset, *, in_3d: bool) -> Iterator[tuple[str, "Figure", str]]:
    """Yield file name, figure and what it shows."""
    from otlib import viz

    topology = dataset.topology
    if in_3d:
        everyone = sorted(dataset.subjects)
        evenly = np.linspace(0, len(everyone) - 1, min(_SHOWN_SPEAKERS, len(everyone)))
        speakers = [everyone[index] for index in evenly.round().astype(int)]
        heads = np.stack([dataset.template(subject) for subject in speakers])
        yield ("speakers.png", viz.row_of_heads(heads, topology, speakers),
               f"{len(speakers)} of {len(everyone)} speakers at rest.")
        subject, frames = find_visemes(dataset)
        if frames:
            near = np.unique(np.concatenate([topology.lips, topology.regions.get("jaw", topology.lips)]))
            poses = np.stack([dataset.template(subject), *frames.values()])
            for camera in ("front", "three_quarter"):
                yield (f"visemes_{camera}.png",
                       viz.row_of_heads(poses, topology, ["at rest", *frames], camera=camera, focus=near),
                       f"Frames of {subject} in the middle of sounds, {camera.replace('_', ' ')} view: "
                       + ", ".join(f"{name} {_SHAPES[name]}" for name in frames) + ".")
    sequence = (dataset.select("test") or dataset.sequences)[0]
    gap_mm = topology.gap_mm(sequence.vertices)
    times = np.arange(len(gap_mm)) / dataset.frame_rate
    yield ("lip_gap.png", viz.lip_gap_curves(times, gap_mm, None, sequence.phonemes or ()),
           f"Lip gap of {sequence.id} against time" + (f", who says “{sequence.text}”" if sequence.text else ""))


_SHAPES = {"p b m": "closed", "f v": "tucked", "a": "open", "i": "spread", "u": "rounded"}


def find_visemes(dataset: Dataset) -> tuple[str, dict[str, np.ndarray]]:
    """Return a speaker and, for each mouth shape of VISEMES that they show, a frame (V, 3) of it.

    For each shape this is the centre of the longest sound, shifted by the speaker's lead or lag; neighbours colour short
    sounds. The speaker is the one with the most shapes, and among equals the one whose shortest sound is longest.
    """
    sounds = {subject: _longest_sounds(dataset, subject) for subject in sorted(dataset.subjects)}
    shortest = {subject: min((seconds for seconds, _, _ in own.values()), default=0.0) for subject, own in sounds.items()}
    best = max(sounds, key=lambda subject: (len(sounds[subject]), shortest[subject]))
    lead = dataset.subjects[best].get("style", {}).get("lead", 0.0)
    frames = {}
    for name, (_, sequence, span) in sounds[best].items():
        frame = round((span.middle - lead) * dataset.frame_rate)
        frames[name] = np.array(sequence.vertices[min(max(frame, 0), sequence.frames - 1)])
    return best, frames


def _longest_sounds(dataset: Dataset, subject: str) -> dict[str, tuple[float, Sequence, Phoneme]]:
    """Return the longest sound of each kind of VISEMES, in their order: seconds, where and when; a diphthong is none."""
    longest: dict[str, tuple[float, Sequence, Phoneme]] = {}
    for sequence in dataset.select(subject=subject):
        for span in sequence.phonemes or ():
            own = known_letters(span) or ()
            for name, sounds in VISEMES.items():
                if len(own) == 1 and own[0] in sounds and span.end - span.start > longest.get(name, (0.0,))[0]:
                    longest[name] = (span.end - span.start, sequence, span)
    return {name: longest[name] for name in VISEMES if name in longest}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep card`."""
    parser.add_argument("dataset", type=Path, metavar="DIR", help="the data set's folder")
    parser.add_argument("--page", type=Path, metavar="FOLDER",
                        help=f"write {PAGE} there, with pictures and {FIGURES}, instead of printing the figures as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Measure, then print the figures or write the page.

    Raises:
        InputError: the data set cannot be read, the page cannot be written or would change a file that is not a card's, or
            heads cannot be drawn.
    """
    dataset = Dataset.open(arguments.dataset)
    if arguments.page is None:
        print(json.dumps(measure(dataset), indent=1))
    else:
        refuse_overlap(arguments.page, [arguments.dataset])
        with own_folder(arguments.page):
            print(write_page(dataset, arguments.page))
