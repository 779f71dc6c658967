"""Train OT-Talk on a prepared data set.

    python -m otlib.train --data data/fast/corpus --out results/runs/first
    torchrun --standalone --nproc_per_node 2 -m otlib.train --data ... --out ...     two processes, one GPU each or the CPU

The same seed and number of processes give the same model on the same machine, whatever the kills on the way: every random
choice follows from the seed and the step. Killed and started again with the same settings it goes on from the last
checkpoint. Another number of processes draws the same windows and takes the same steps but for rounding, since gradients
are summed in another order; the difference grows with training (seen in single weights: 1e-6 to 6e-6 after 2 steps, 1e-5
to 4e-4 after 60).

With --frozen-layers the upper layers of the encoder are trained too (see otlib.train.tuned_encoder), and left in the run's
folder encoder/.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import dataclasses
import os
from pathlib import Path

import torch
from accelerate import Accelerator

from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import read_json
from otlib.settings import THREADS, number_of
from otlib.train.loop import train
from otlib.train.settings import TrainSettings, settings_from


def _accelerator() -> Accelerator:
    """Return what shares the training among the processes that were started; without a GPU it has to be told so."""
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    started = os.environ.get("WORLD_SIZE", "1")
    if started != str(accelerator.num_processes):
        raise InputError(f"this is one of {started} processes (WORLD_SIZE), which cannot share a training on "
                         f"{accelerator.device.type}; start one, or set ACCELERATE_USE_CPU=true")
    return accelerator


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    default = TrainSettings()
    parser = Parser(prog="python -m otlib.train", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: a new one, or an earlier run's")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="folder of audio features (%(default)s)")
    parser.add_argument("--settings", type=Path, help="JSON of TrainSettings; the options below override it")
    named = ("encoder", "seed", "steps", "batch", "window", "learning_rate", "encoder_learning_rate")
    for name in named:
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"({value})")
    parser.add_argument("--frozen-layers", type=int,
                        help="train the encoder too, but for its extractor and so many layers; FaceXHuBERT: 2 (all frozen)")
    parser.add_argument("--transport", type=float, help=f"weight of the sliced Wasserstein term ({default.loss.transport})")
    parser.add_argument("--threads", type=number_of(int, THREADS), default=1,
                        help="of torch; more than one changes rounding (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    stored = settings_from(read_json(options.settings), options.settings) if options.settings else default
    settings = dataclasses.asdict(stored)
    given = {name: getattr(options, name) for name in (*named, "frozen_layers") if getattr(options, name) is not None}
    if options.transport is not None:
        given["loss"] = settings["loss"] | {"transport": options.transport}
    settings = settings_from(settings | given)
    train(options.data, options.out, settings, cache=options.cache, accelerator=_accelerator())
    return 0
