"""Train OT-Talk or KMTalk on a prepared data set.

    python -m otlib.train --data data/fast/corpus --out results/runs/first
    torchrun --standalone --nproc_per_node 2 -m otlib.train --data ... --out ...     two processes, one GPU each or the CPU

The same seed and number of processes give the same model on the same machine, however often the training is killed: every
random choice follows from the seed and the step. Started again with the same settings, a killed training continues from its
last checkpoint. Another number of processes draws the same windows and takes the same steps up to rounding, since gradients
are summed in another order; the difference grows with training (measured in single weights: 1e-6 to 6e-6 after 2 steps,
1e-5 to 4e-4 after 60).

With --frozen-layers the upper layers of the encoder are trained too (see otlib.train.tuned_encoder), and saved in the
folder encoder/ of the run.
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
from otlib.phonemes.key_frames import SOURCES
from otlib.settings import THREADS, number_of
from otlib.train.loop import train
from otlib.train.settings import TrainSettings, settings_from


def _accelerator() -> Accelerator:
    """Return an accelerator, which shares the training among the processes; without a GPU it needs ``cpu=True``."""
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
    plain = ("encoder", "method", "seed", "steps", "batch", "window", "learning_rate", "encoder_learning_rate")
    for name in plain:
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"({value})")
    parser.add_argument("--keys", metavar="SOURCE", help="where KMTalk's key frames come from: "
                        f"{', '.join(SOURCES)}; see otlib.phonemes.key_frames ({default.keys.source})")
    parser.add_argument("--host", metavar="RUN", help="a finished run of OT-Talk or autoregressive whose motion KMTalk "
                        "completes; it is not trained any further (a host is trained with its completion)")
    parser.add_argument("--frozen-layers", type=int,
                        help="train the encoder too, except its extractor and this many layers; FaceXHuBERT: 2 (all frozen)")
    parser.add_argument("--transport", type=float, help=f"weight of the sliced Wasserstein term ({default.loss.transport})")
    parser.add_argument("--threads", type=number_of(int, THREADS), default=1,
                        help="threads of torch; more than one changes rounding (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    stored = settings_from(read_json(options.settings), options.settings) if options.settings else default
    settings = dataclasses.asdict(stored)
    given = {name: getattr(options, name) for name in (*plain, "host", "frozen_layers")}
    settings |= {name: value for name, value in given.items() if value is not None}
    if options.keys is not None:
        settings["keys"]["source"] = options.keys
    if options.transport is not None:
        settings["loss"]["transport"] = options.transport
    train(options.data, options.out, settings_from(settings), cache=options.cache, accelerator=_accelerator())
    return 0
