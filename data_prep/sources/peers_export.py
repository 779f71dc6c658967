"""Any prepared data set, written in the processed layout, so that the code of FaceFormer and its successors trains on it.

  vertices_npy/<subject>_<sentence>.npy   (T, 3V) float32, metres, bit for bit those of the data set
  wav/<subject>_<sentence>.wav            the data set's own sound
  templates.pkl                           subject -> (V, 3) float32; numpy 1 and 2 read it
  *.ply, templates/*.ply                  the faces, under the name and in the places where that code looks for them
  regions/lve.txt, regions/fdd.txt        the lips and the upper face, counted from 0
  export.json                             subjects of each split as that code expects them, which clip is which, and the
                                          SHA-256 and size of every other file

That code identifies splits by subject and by the last two characters of a name, and has the numbers built in. --for vocaset:
sentences 1 to 40 to train, 21 to 40 to validate and test, and 60 frames a second of which it takes every other one; a data
set of 30 frames a second gets a halfway frame between each two, and that code then reads exactly the original ones. --for
biwi: 1 to 32, 33 to 36, 37 to 40, at 25 frames a second. --for any: 1 to 99, at the data set's own rate. Names that do not
fit are replaced by numbers; clips for which no number is left are left out, and listed.
"""

import argparse
import pickle
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from tqdm import tqdm

from data_prep.raw.safe_pickle import read_pickle
from otlib.data.dataset import Dataset, Sequence
from otlib.data.manifest import SPLITS
from otlib.data.whole_folder import FolderFormat, file_table, refuse_overlap, whole_folder
from otlib.errors import InputError
from otlib.files import write_json
from otlib.own_files import writable

HELP = "a prepared data set in the processed layout, for the peers' code"

MARK = "export.json"  # written last
EXPORT = FolderFormat("an earlier export", MARK, "otlib-export", 1)


@dataclass(frozen=True)
class Convention:
    """What the peers' code expects.

    Attributes:
        numbers: split to the sentence numbers that it takes.
        frame_rate: frames a second of the files, or None for the data set's own.
        faces: name of the .ply that it opens.
        splits_by_subject: whether the subject alone determines the split, so that no subject may be in two.
    """

    numbers: dict[str, range]
    frame_rate: float | None
    faces: str
    splits_by_subject: bool


CONVENTIONS = {
    "vocaset": Convention({"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}, 60.0, "FLAME_sample.ply",
                          True),
    "biwi": Convention({"train": range(1, 33), "val": range(33, 37), "test": range(37, 41)}, 25.0, "BIWI.ply", False),
    "any": Convention(dict.fromkeys(SPLITS, range(1, 100)), None, "topology.ply", False),
}


def export(dataset: Dataset, out: Path | str, convention: str = "any") -> str:
    """Write a data set in the processed layout; the folder is whole or absent.

    Args:
        dataset: any data set.
        out: the folder to make; an earlier export there is replaced once the new one is whole.
        convention: one of :data:`CONVENTIONS`.

    Returns:
        a report in sentences for people.

    Raises:
        InputError: the convention does not allow the data set's frame rate or subjects; ``out`` exists and is not an
            earlier export, or holds something that its export.json does not list; the folder cannot be written.
    """
    refuse_overlap(out, [dataset.path])
    rules = CONVENTIONS[convention]
    doubled = _doubled(dataset, convention)
    names = file_names(dataset, rules)
    sequences = [sequence for sequence in dataset.sequences if sequence.id in names]
    if not sequences:
        raise InputError(f"{dataset.path}: holds no clip that --for {convention} has a number for")
    with whole_folder(out, EXPORT) as folder, writable(out):
        for part in ("vertices_npy", "wav", "templates", "regions"):
            (folder / part).mkdir()
        for sequence in tqdm(sequences, desc=f"{dataset.name}, processed layout", unit="clip"):
            frames = np.asarray(sequence.vertices)
            frames = with_frames_between(frames) if doubled else frames
            np.save(folder / f"vertices_npy/{names[sequence.id]}.npy", frames.reshape(len(frames), -1), allow_pickle=False)
            shutil.copyfile(sequence.audio_path, folder / f"wav/{names[sequence.id]}.wav")
        subjects = list(dict.fromkeys(sequence.subject for sequence in sequences))
        templates = {subject: dataset.template(subject) for subject in subjects}
        write_templates(folder / "templates.pkl", templates)
        mesh = trimesh.Trimesh(templates[subjects[0]], dataset.topology.faces, process=False)
        for place in (folder, folder / "templates"):  # CodeTalker looks here, FaceFormer there
            mesh.export(place / rules.faces)
        for region, file in (("lips", "lve.txt"), ("upper_face", "fdd.txt")):
            indices = ", ".join(map(str, dataset.topology.regions[region]))
            (folder / f"regions/{file}").write_text(indices + "\n", encoding="utf-8")
        summary = _summary(dataset, convention, sequences, names, doubled)
        write_json(folder / MARK, {"format": EXPORT.name, "version": EXPORT.version, "files": file_table(folder)} | summary)
    return _report(summary)


def with_frames_between(frames: np.ndarray) -> np.ndarray:
    """Return (2T - 1, V, 3): the frames (T, V, 3) bit for bit at even places, and the means of neighbours between them."""
    both = np.repeat(frames, 2, axis=0)[:-1]
    both[1::2] = 0.5 * (frames[:-1] + frames[1:])
    return both


def write_templates(path: Path, templates: dict[str, np.ndarray]) -> None:
    """Write templates.pkl: a dictionary of arrays in protocol 3, under module names that numpy 1 and 2 both know."""
    content = pickle.dumps(templates, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    path.write_bytes(content)
    read = read_pickle(path)
    if read.keys() != templates.keys() or any((read[name] != templates[name]).any() for name in templates):
        raise AssertionError(f"{path}: does not read back as it was written")


def file_names(dataset: Dataset, convention: Convention) -> dict[str, str]:
    """Return the ids of the sequences that a convention has room for, each with the name of its files.

    Raises:
        InputError: a subject's name looks like a file's ending, or a subject is in two splits where the convention allows
            only one.
    """
    splits: dict[str, set[str]] = {}
    for sequence in dataset.sequences:
        splits.setdefault(sequence.subject, set()).add(sequence.split)
        if "wav" in sequence.subject or "." in sequence.subject:
            raise InputError(f"{dataset.path}: the subject {sequence.subject} has a name with 'wav' or '.' in it, which "
                             "the peers' code takes for a file's ending; prepare the data set under other names")
    if convention.splits_by_subject and (torn := [subject for subject, parts in splits.items() if len(parts) > 1]):
        raise InputError(f"{dataset.path}: the subject {torn[0]} is in the splits {' and '.join(sorted(splits[torn[0]]))}, "
                         "which this convention tells by subject; use --for biwi or --for any")
    # that code identifies a sentence by its subject and its last two characters
    distinct = len({(one.subject, one.sentence[-2:]) for one in dataset.sequences}) == len(dataset.sequences)
    if distinct and all(_fits(sequence, convention) for sequence in dataset.sequences):
        return {sequence.id: sequence.id for sequence in dataset.sequences}
    free = {(subject, split): iter(convention.numbers[split]) for subject, parts in splits.items() for split in parts}
    if len(set(convention.numbers.values())) == 1:  # one range for all splits: no number twice for one subject
        free = {key: free[key[0], min(splits[key[0]])] for key in free}
    numbers = ((sequence, next(free[sequence.subject, sequence.split], None)) for sequence in dataset.sequences)
    return {sequence.id: f"{sequence.subject}_sentence{number:02d}" for sequence, number in numbers if number is not None}


def _fits(sequence: Sequence, convention: Convention) -> bool:
    number = re.search(r"\d\d$", sequence.sentence)
    return (number is not None and int(number[0]) in convention.numbers[sequence.split] and "_" not in sequence.sentence
            and sequence.id == f"{sequence.subject}_{sequence.sentence}" and not re.search(r"wav|\.", sequence.sentence))


def _doubled(dataset: Dataset, convention: str) -> bool:
    """Return whether the convention's frame rate is twice the data set's; refuse any other that is not the same."""
    rate = CONVENTIONS[convention].frame_rate
    if rate in (None, dataset.frame_rate):
        return False
    if convention == "vocaset" and 2 * dataset.frame_rate == rate:
        return True
    rates = "30 or 60" if convention == "vocaset" else f"{rate:g}"
    raise InputError(f"{dataset.path}: has {dataset.frame_rate:g} frames a second, --for {convention} takes {rates}; use "
                     "--for any")


def _summary(dataset: Dataset, convention: str, sequences: list[Sequence], names: dict[str, str],
             doubled: bool) -> dict[str, Any]:
    subjects = {split: sorted({sequence.subject for sequence in sequences if sequence.split == split}) for split in SPLITS}
    codes = {subject: dataset.subjects[subject].get("one_hot", 0) for subject in subjects["train"]}
    subjects["train"].sort(key=codes.__getitem__)
    return {"data_set": dataset.name, "checksum": dataset.checksum, "for": convention,
            "frame_rate": (2 if doubled else 1) * dataset.frame_rate,
            "vertice_dim": 3 * len(dataset.template(sequences[0].subject)),
            "clips": {names[sequence.id]: {"sequence": sequence.id, "split": sequence.split} for sequence in sequences},
            "left_out": [sequence.id for sequence in dataset.sequences if sequence.id not in names],
            **{f"{split}_subjects": " ".join(subjects[split]) for split in SPLITS}}


def _report(summary: dict[str, Any]) -> str:
    lines = [f"{summary['data_set']}: {len(summary['clips'])} clips at {summary['frame_rate']:g} frames a second"]
    if summary["left_out"]:
        lines.append(f"left out, since --for {summary['for']} has no number for them: {len(summary['left_out'])} clips "
                     f"({summary['left_out'][0]}, ...; {MARK} names them)")
    options = " ".join(f'--{split}_subjects "{summary[f"{split}_subjects"]}"' for split in SPLITS)
    return "\n".join([*lines, f"options for the peers' scripts: --vertice_dim {summary['vertice_dim']} {options}"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep export`."""
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="a data set that was prepared here")
    parser.add_argument("--for", dest="convention", choices=CONVENTIONS, default="any",
                        help="whose numbers and frame rate to use, see above (default: any)")


def run(arguments: argparse.Namespace) -> None:
    """Export the data set that the options name.

    Raises:
        InputError: the data set is damaged, or does not fit the convention.
    """
    print(export(Dataset.open(arguments.dataset), arguments.out, arguments.convention))
