"""Make this project's row of a published table: convert the data set, train, score as the peers do, write it beside theirs.

    python -m notebooks.driver.published_table vocaset --raw DIR                      DIR as `python -m data_prep vocaset
    --help` says python -m notebooks.driver.published_table vocaset --raw DIR --encoder facebook/hubert-base-ls960

The data set goes to data/paper/NAME/corpus, the training to results/runs/NAME/models, and the row, with the quoted numbers
of results/paper/quoted.json beside it, to results/runs/NAME/row.json; --run gives the run another name. Killed and started
again it goes on. Options that it does not know are handed to `python -m data_prep NAME`. Exit status: 0 done, 2 something
cannot be used.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep import __main__ as preparation
from notebooks.experiments.folders import PAPER, ROOT, Folders
from notebooks.experiments.quoted import QuotedTable, read_quoted
from notebooks.experiments.record import run_record
from otlib.commands import Parser, command
from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.files import read_json, read_object, write_json
from otlib.metrics import CONVENTIONS, ClipPair, convention, lip_error_mm, published_scores
from otlib.metrics.intervals import IntervalUndefined, speaker_interval
from otlib.own_files import own_folder
from otlib.predict import Predictor, load_trained
from otlib.train.loop import train
from otlib.train.settings import TrainSettings, settings_from

TABLES = {"biwi": "biwi_test_a", "vocaset": "vocaset_test"}  # of results/paper/quoted.json
CONVENTION = "codetalker"  # whose script these tables are made with
_OURS_TOO = "square metre"  # the unit in which a quoted number compares with this project's
STEPS = 12_000  # as the suite's full profile
OURS = "OT-Talk (this project)"


def folders_of(name: str, run: str, root: Path) -> Folders:
    """Return the folders of a table's data set and of the run, by default one of the data set's name."""
    return Folders(f"paper/{name}", run or name, root)


def prepared(name: str, raw: Path, options: list[str], corpus: Path) -> Dataset:
    """Convert a data set, unless the same files were converted with the same options before.

    Args:
        name: of a source of ``python -m data_prep``.
        raw: what its --raw takes.
        options: more of its options.
        corpus: folder of the data set.

    Raises:
        InputError: the conversion was refused; it has said why.
    """
    stamp = corpus.with_name("source.json")
    asked = {"raw": str(raw.resolve()), "options": options}
    stored = read_json(stamp) if corpus.is_dir() and stamp.is_file() else {}
    if stored | asked == stored and (made := Dataset.open(corpus)).checksum == stored["data"]:
        print(f"{name}: converted before, in {corpus}")
        return made
    if preparation.main([name, "--raw", str(raw), "--out", str(corpus), *options]) != 0:
        raise InputError(f"{name}: could not be converted")
    made = Dataset.open(corpus)
    write_json(stamp, asked | {"data": made.checksum})
    return made


def pairs(dataset: Dataset, predict: Callable[[Sequence], np.ndarray]) -> Iterator[ClipPair]:
    """Yield every test clip, true and predicted, one at a time."""
    for clip in dataset.select("test"):
        yield ClipPair(clip.subject, clip.vertices, predict(clip), clip.template)


def scores(dataset: Dataset, predict: Callable[[Sequence], np.ndarray]) -> dict[str, Any]:
    """Return the test clips' scores: the peers' three numbers in each convention by name, and this project's headline."""
    clips = list(pairs(dataset, predict))
    if not clips:
        raise InputError(f"{dataset.path}: has no clips of the split 'test'; prepare a data set that has")
    by_speaker: dict[str, list[float]] = {}
    for clip in clips:
        error = lip_error_mm(clip.truth, clip.prediction, dataset.topology.lips)
        by_speaker.setdefault(clip.speaker, []).append(error)
    headline = {speaker: float(np.mean(values)) for speaker, values in by_speaker.items()}
    found: dict[str, Any] = {"lip_max_mm": float(np.mean(list(headline.values()))), "speakers": headline}
    try:
        interval = speaker_interval(headline, generator=np.random.default_rng(0))
        found["lip_max_mm_interval"] = [interval.low, interval.high]
    except IntervalUndefined as reason:
        found |= {"lip_max_mm_interval": None, "no_interval": str(reason)}
    return {**found, "clips": len(clips),
            "conventions": {name: published_scores(clips, dataset.topology, how) for name, how in CONVENTIONS.items()}}


def table(quoted: QuotedTable, own: Mapping[str, float]) -> str:
    """Return the quoted rows and this project's as Markdown.

    Where the unit of the quoted numbers is not one of length, this project's scores follow the table in mm² and say so.
    """
    if all(metric.unit == _OURS_TOO for metric in quoted.metrics):
        return quoted.with_measured(OURS, own).markdown()
    measured = ", ".join(f"{metric.title} {own[metric.name] * 1e6:.4f} mm²" for metric in quoted.metrics)
    return f"{quoted.markdown()}\n\n{OURS}: {measured}. Another unit than the table's, so it stands outside of it."


def make_row(name: str, raw: Path, options: list[str], settings: TrainSettings, run: str = "", root: Path = ROOT) -> str:
    """Convert, train, score and write the run's row.json; return the table as Markdown.

    Args:
        name: of the data set.
        raw: its files.
        options: more for its conversion.
        settings: of the training.
        run: its name; empty: the data set's.
        root: the checkout.

    Raises:
        InputError: there is no table, or can be no run, of that name, or the data, the encoder or the settings cannot be
            used.
    """
    if name not in TABLES:
        raise InputError(f"no published table of {name!r}; there are {', '.join(TABLES)}")
    folders = folders_of(name, run, root)
    quoted = read_quoted(PAPER / "quoted.json").tables[TABLES[name]]
    with own_folder(folders.results, others=True):
        dataset, model = prepared(name, raw, options, folders.corpus), folders.models / "ot_talk"
        train(dataset.path, model, settings, cache=folders.features)
        found = scores(dataset, Predictor(load_trained(model), dataset, folders.features))
        text = table(quoted, found["conventions"][CONVENTION])
        write_json(folders.results / "row.json",
                   {"scores": found, "convention": {"name": CONVENTION, "source": convention(CONVENTION).source},
                    "table": text,
                    "provenance": run_record(dataset, {"settings": json.loads(json.dumps(dataclasses.asdict(settings)))},
                                             folders.models)})
    return text


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.published_table", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the data set, vocaset or biwi")
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR", help="its files, which you must hold")
    parser.add_argument("--run", default="", metavar="NAME", help="what results/runs/NAME is called (as the data set)")
    parser.add_argument("--settings", type=Path, help="JSON of TrainSettings; the options below override it")
    parser.add_argument("--encoder", help="one of the project, or a HuBERT by folder or hub name (hubert-people)")
    parser.add_argument("--steps", type=int, help=f"of the training ({STEPS})")
    parser.add_argument("--seed", type=int, help="of the training (0)")
    options, more = parser.parse_known_args(arguments)
    torch.set_num_threads(1)  # as everywhere: more threads change rounding
    values = {"steps": STEPS, **(read_object(options.settings) if options.settings else {})}
    given = {key: getattr(options, key) for key in ("encoder", "steps", "seed") if getattr(options, key) is not None}
    print(make_row(options.name, options.raw, more, settings_from(values | given), options.run))
    return 0
