"""Make the project's promises again that no other command measures: ``make claims``.

    python -m tests.benchmarks.bench_claims --recording speech.wav "What is said in it."
    python -m tests.benchmarks.bench_claims --only remesh long

With the corpus and the model that ``make demo`` leaves. Parts:

- closures: whether the lips of speakers that training never saw close at the p, b and m of recordings of people, and only
  there, beside the same motions on another recording and the model that is fed loudness and pitch (the project ships no
  recording: name your own, each with its text, which pocketsphinx aligns, or with a JSON of `python -m otlib align --json`);
- remesh: the error on the same head with another topology, beside that on the corpus's own, and a picture of both;
- long: memory for ten minutes beside one, and what the windows' joins change;
- kills: a corpus, a conversion, a training, a driver and a sweep, each stopped or killed ten times at random moments, beside
  ones that were not (about 15 minutes);
- demo: the lip gap at the p, b and m of the demo's clip, and over a second of digital silence.

Results go to the run's bench/claims.json, part by part; what was measured with the same code, model, data and recordings is
left as it is. Exit status: 0 all goals reached, 1 one was missed, 2 something that is needed is not there.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import inspect
import os
from pathlib import Path
from typing import Any

import torch

from notebooks.experiments.folders import DEFAULT_RUN, ROOT, Folders
from otlib.code_checksum import code_checksum
from otlib.commands import command
from otlib.errors import InputError
from otlib.files import read_json, sha256, write_json
from otlib.train.checkpoint import WEIGHTS
from tests.benchmarks.bench_sliced import machine
from tests.benchmarks.claims_closures import CONTROL, MODEL, measure_closures, measure_demo
from tests.benchmarks.claims_common import Setting, open_setting, report
from tests.benchmarks.claims_kills import measure_kills
from tests.benchmarks.claims_long import measure_long
from tests.benchmarks.claims_remesh import measure_remesh

PARTS = {"closures": "tests.benchmarks.claims_closures", "remesh": "tests.benchmarks.claims_remesh",
         "long": "tests.benchmarks.claims_long", "kills": "tests.benchmarks.claims_kills",
         "demo": "tests.benchmarks.claims_closures"}  # and the module that measures it
FORMAT, VERSION = "otlib-bench-claims", 1


def measure(part: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one part, with its goals."""
    if part == "closures":
        settings = {MODEL: setting, CONTROL: open_setting(setting.folders, "prosody")}
        return measure_closures(settings, [tuple(pair) for pair in options.recording])
    if part == "remesh":
        return measure_remesh(setting, options.target.with_name("remesh.png"), clips=1 if options.quick else 2,
                              speakers=2 if options.quick else None)
    if part == "long":
        return measure_long(setting, minutes=2 if options.quick else 10)
    if part == "kills":
        return measure_kills(setting, *((1, 10) if options.quick else (10, 160)))
    return measure_demo(setting)


def facts_of(part: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return what a part's figures follow from; one that was measured from the same is left as it is."""
    facts = {"code": code_checksum(PARTS[part], sources=[inspect.getsource(measure)]), "model": setting.weights,
             "data": setting.corpus.checksum, "quick": options.quick}
    if part == "closures":
        facts["control"] = sha256(setting.folders.models / "prosody" / WEIGHTS)
        facts["recordings"] = [[Path(file).name, sha256(file), sha256(text) if text.endswith(".json") else text]
                               for file, text in options.recording]
    return facts


def _main(options: argparse.Namespace) -> int:
    for file, text in options.recording:
        for needed in (file, text) if text.endswith(".json") else (file,):
            if not Path(needed).is_file():
                raise InputError(f"{needed}: is not there; name a sound file and what is said in it")
    folders = Folders(run=options.run, root=options.root)
    options.target = options.target or folders.bench / "claims.json"
    setting = open_setting(folders)
    result = read_json(options.target) if options.target.is_file() else {}
    parts = result.get("parts", {}) if result.get("format") == FORMAT and result.get("version") == VERSION else {}
    chosen = [part for part in PARTS if part in (options.only or PARTS)]
    if "closures" in chosen and not options.recording:
        print("closures: left out, since no recording was named; give --recording FILE TEXT (make claims RECORDINGS=...)")
        chosen.remove("closures")
    for part in chosen:
        facts = facts_of(part, setting, options)
        if parts.get(part, {}).get("facts") == facts and not options.again:
            print(f"{part}: measured before, left as it is (--again measures it again)", flush=True)
            continue
        print(f"{part}: measuring", flush=True)
        load = os.getloadavg()[0]
        parts[part] = {**measure(part, setting, options), "facts": facts, "machine": machine(), "load_before": load}
        write_json(options.target, {"format": FORMAT, "version": VERSION, "parts": parts})
    goals = [one for part in chosen for one in parts[part]["goals"]]
    print(report(goals))
    print(f"on {machine()['processor']}, {torch.get_num_threads()} thread; written to {options.target}")
    return 0 if all(one["reached"] for one in goals) else 1


@command
def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", nargs=2, action="append", default=[], metavar=("FILE", "TEXT"),
                        help="a person's speech and what is said in it, or its phonemes' JSON; may be given several times")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    parser.add_argument("--quick", action="store_true", help="little of everything, to try the program itself")
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="whose model and folder bench (%(default)s)")
    parser.add_argument("--target", type=Path, help="another place for the JSON")
    parser.add_argument("--root", type=Path, default=ROOT, help="whose data/fast and results/runs are used (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    return _main(options)
