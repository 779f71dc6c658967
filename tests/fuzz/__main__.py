"""Hand thousands of bad and odd inputs to every door: `make fuzz`, or

    python -m tests.fuzz --minutes 10 --least 1000           all doors, at least so long and so many inputs
    python -m tests.fuzz --seed 0 --door validate --case 7   one input again; what it read is kept

Every input carries its expected verdict: refused in one sentence that names the file or option, with status 2, or accepted
with the result that the sound input has. What else becomes of it is a fault: a traceback, a crash, a hang over 30 s, over
2 GB, a silent acceptance, a changed input, litter, a process left behind. Exit status: 0 no fault, 1 faults.
"""

import argparse
import contextlib
import importlib
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.case import Door, way_of
from tests.fuzz.pool import Input, Session, outcomes, table, write_bases
from tests.fuzz.verdict import expected
from tests.fuzz.worker import PATIENCE, Outcome, as_json, environment

KEPT = Path(__file__).resolve().parents[2] / ".cache" / "fuzz"


def schedule(doors: list[Door], seed: int, minutes: float, least: int) -> Iterator[Input]:
    """Yield inputs round by round, one of each door, until time is up and there were enough of them.

    Args:
        doors: to try.
        seed: of all inputs.
        minutes: after which there are no more.
        least: number of inputs that there are whatever the time.
    """
    end, count = time.monotonic() + 60 * minutes, 0
    for number in itertools.count():
        for door in doors:
            if number % door.every:
                continue
            if time.monotonic() > end and count >= least:
                return
            yield door.name, number // door.every
            count += 1


def first_of_each_kind(doors: list[Door], seed: int) -> Iterator[Input]:
    """Yield the first input of each kind of each door that has its turn in every round."""
    for door in doors:
        seen: set[str] = set()
        for number in range(len(door.ways)):
            kind = way_of(door, seed, number).kind
            if door.every == 1 and kind not in seen:
                seen.add(kind)
                yield door.name, number


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of all inputs (%(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="(%(default)s)")
    parser.add_argument("--least", type=int, default=1000, metavar="N", help="inputs, whatever the time (%(default)s)")
    parser.add_argument("--door", action="append", metavar="D", help="this door alone; may be given several times")
    parser.add_argument("--case", type=int, metavar="N", help="this input of the door alone, and keep what it read")
    parser.add_argument("--fixed", action="store_true", help="the first input of each kind of each door, as the tests do")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="(one a core)")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds until an input hangs (%(default)s)")
    parser.add_argument("--bases", metavar="DIR", help="keep the sound inputs there, and take them from there")
    parser.add_argument("--list", action="store_true", help="list the ways of the doors, and do nothing")
    parser.add_argument("--doors-of", default="tests.fuzz.doors", metavar="MODULE", help="(%(default)s)")
    options = parser.parse_args(arguments)
    os.environ |= environment()  # before anything heavy is imported
    doors = [
        door for door in importlib.import_module(options.doors_of).DOORS if not options.door or door.name in options.door
    ]
    if options.list:
        for door in doors:
            print("\n".join(f"{door.name:<18} {way.kind:<14} {way.name}: {expected(way)}" for way in door.ways))
        return 0
    if options.case is not None:
        inputs: Iterator[Input] = iter([(door.name, options.case) for door in doors])
    elif options.fixed:
        inputs = first_of_each_kind(doors, options.seed)
    else:
        inputs = schedule(doors, options.seed, options.minutes, options.least)
    place = contextlib.nullcontext(options.bases) if options.bases else tempfile.TemporaryDirectory(prefix="fuzz-bases-")
    with place as folder:
        write_bases(options.doors_of, Path(folder), doors, "fork")
        session = Session(
            options.doors_of, options.seed, Path(folder), KEPT, options.patience, options.case is not None, "fork"
        )
        return _tried(session, inputs, options.workers if options.case is None else 1)


def _tried(session: Session, inputs: Iterator[Input], workers: int) -> int:
    done: list[Outcome] = []
    start = shown = time.monotonic()
    session.kept.mkdir(parents=True, exist_ok=True)
    with open(session.kept / "outcomes.jsonl", "w", encoding="utf-8") as log:
        for outcome in outcomes(session, inputs, workers):
            done.append(outcome)
            log.write(as_json(outcome) + "\n")
            log.flush()
            if outcome.fault:
                print(
                    f"{outcome.door} {outcome.number}: {outcome.way}\n  {outcome.fault}\n  again: python -m tests.fuzz "
                    f"--seed {session.seed} --door {outcome.door} --case {outcome.number}",
                    flush=True,
                )
            elif session.keep:
                print(
                    f"{outcome.door} {outcome.number}: {outcome.way}\n  status {outcome.status}, {outcome.verdict} as "
                    f"expected, {outcome.folder}\n{outcome.errors}",
                    flush=True,
                )
            if time.monotonic() > shown + 30:
                shown = time.monotonic()
                print(
                    f"{shown - start:.0f} s: {len(done)} inputs, {sum(bool(one.fault) for one in done)} faults", flush=True
                )
    faults = Counter(outcome.fault.partition(":")[0] for outcome in done if outcome.fault)
    print(
        f"{table(done)}\n\nseed {session.seed}, {len(done)} inputs, {time.monotonic() - start:.0f} s; faults: "
        f"{', '.join(f'{count} {name}' for name, count in faults.items()) or 'none'}"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
