"""Train OT-Talk on a prepared data set.

    python -m otlib.train --data data/fast/corpus --out data/fast/runs/ot_talk
    accelerate launch -m otlib.train --data ... --out ...        several processes, machines or GPUs

The same seed gives the same model on the same machine, whatever the number of processes or kills on the way: every
random choice follows from the seed and the step. Killed and started again with the same settings it goes on from the
last checkpoint.
"""

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from otlib.checkpoint import STATE, load_state, save_model, save_state
from otlib.clips import Batch, ClipSet, draw_batch, lip_error_mm, read_clips
from otlib.dataset import Dataset
from otlib.errors import InputError
from otlib.features import feature_source
from otlib.files import atomic_write, read_json, write_json
from otlib.losses import LossSettings, losses, vertex_weights
from otlib.model import ModelSettings, OTTalk

LOG, RUN = "log.jsonl", "run.json"


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training follows from, beside the data; the values are our choice.

    Attributes:
        encoder: "bundled", a HuBERT by folder or hub name, or "prosody" (loudness and pitch alone, the control).
        seed: of weights, batches, dropout and directions.
        steps: optimiser steps, fixed, so that results don't depend on the machine's speed.
        batch: windows a step, shared out among the processes.
        window: frames a window, 1.5 s at 30 frames a second; at most the shortest clip.
        learning_rate: peak of AdamW, reached after ``warm_up`` of all steps, then falling to zero as a cosine.
        weight_decay: of AdamW.
        validate: steps between two looks at the validation clips; the best model by their lip error is kept.
        loss, model: see there; of ``model`` the first two fields are set by the encoder.
    """

    encoder: str = "bundled"
    seed: int = 0
    steps: int = 900
    batch: int = 4
    window: int = 45
    learning_rate: float = 2e-3
    warm_up: float = 0.05
    weight_decay: float = 0.01
    validate: int = 100
    loss: LossSettings = field(default_factory=LossSettings)
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {f.name for f in dataclasses.fields(ModelSettings)} - {"feature_layers", "feature_channels"}
        if unknown := set(self.model) - known:
            raise ValueError(f"model has no setting {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Return the rate of a step: a linear rise, then half a cosine down to zero."""
    rise = max(1, round(settings.warm_up * settings.steps))
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    progress = torch.tensor((step - rise) / max(1, settings.steps - rise), dtype=torch.float64)
    return settings.learning_rate * float(0.5 * (1 + torch.cos(torch.pi * progress)))


def train(data: Path, out: Path, settings: TrainSettings, *, cache: Path = Path(".cache/features"),
          accelerator: Accelerator | None = None) -> dict[str, Any]:
    """Train a model and leave it in ``out``: model.safetensors, model.json, log.jsonl, run.json.

    Args:
        data: folder of a data set.
        out: folder of the run; one that holds a finished run with the same settings and data is left as it is.
        settings: of the training.
        cache: where audio features are kept.
        accelerator: of Hugging Face; by default the CPU, one process.

    Returns:
        What run.json says: settings, data checksum, best step and its validation error.

    Raises:
        InputError: the data set, the encoder or a checkpoint cannot be used, or ``out`` cannot be written.
    """
    accelerator = accelerator or Accelerator(cpu=True)
    dataset, source = Dataset.open(data), feature_source(settings.encoder)
    if settings.batch % accelerator.num_processes:
        raise InputError(f"batch {settings.batch} cannot be shared out among {accelerator.num_processes} processes; "
                         "choose a multiple")
    facts = {"settings": json.loads(json.dumps(dataclasses.asdict(settings))), "data": dataset.checksum,
             "encoder": source.fingerprint}
    if (out / RUN).is_file() and (done := read_json(out / RUN)) | facts == done:
        return done
    model_settings = ModelSettings(source.layers, source.channels, **settings.model)
    training = read_clips(dataset, "train", source, cache, model_settings)
    validation = read_clips(dataset, "val", source, cache, model_settings, training.hierarchy)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = OTTalk(model_settings)
    loop = _Loop(settings, facts, model, dataset, training, validation, accelerator, out)
    loop.run()
    accelerator.wait_for_everyone()
    return read_json(out / RUN)


class _Loop:
    """The state of one training and its steps."""

    def __init__(self, settings, facts, model, dataset, training: ClipSet, validation: ClipSet, accelerator, out) -> None:
        self.settings, self.facts, self.accelerator, self.out = settings, facts, accelerator, out
        self.training = training
        self.validation = validation
        self.device = accelerator.device
        self.window = min(settings.window, *(len(clip.features) for clip in training.clips))
        self.plain_model: OTTalk = model
        optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.best: dict[str, torch.Tensor] = {}
        self.rows: list[dict[str, Any]] = []
        self.first = 0
        self._resume(optimiser)
        self.model, self.optimiser = accelerator.prepare(model, optimiser)
        self.hierarchy = training.hierarchy.to(device=self.device)
        self.faces = torch.from_numpy(dataset.faces).to(self.device)
        self.lips = torch.from_numpy(dataset.regions["lips"]).to(self.device)
        self.weights = vertex_weights(training.templates.shape[1], self.lips.cpu(), settings.loss.lips).to(self.device)

    def _resume(self, optimiser: torch.optim.Optimizer) -> None:
        file = self.out / STATE
        if not file.is_file():
            return
        best, stored = load_state(file, self.plain_model, optimiser)
        if stored["facts"] != self.facts:
            raise InputError(f"{file}: is a checkpoint of other settings or other data; delete the folder or choose another")
        self.best, self.rows, self.first = best, stored["rows"], stored["step"]

    def run(self) -> None:
        """Train until the last step, with checkpoints, and leave the best model."""
        settings, main = self.settings, self.accelerator.is_main_process
        for step in tqdm(range(self.first, settings.steps), initial=self.first, total=settings.steps, desc=self.out.name,
                         unit="step", disable=None if main else True):
            row = self._step(step)
            if (step + 1) % settings.validate == 0 or step + 1 == settings.steps:
                row["validation_lip_mm"] = self._validate()
                if row["validation_lip_mm"] <= min(r.get("validation_lip_mm", float("inf")) for r in [*self.rows, row]):
                    self.best = {key: value.detach().cpu().clone() for key, value in self.plain_model.state_dict().items()}
            if step % 10 == 0 or "validation_lip_mm" in row:
                self.rows.append(row)
                if main:
                    self._write_log()
            if "validation_lip_mm" in row and main:
                save_state(self.out / STATE, self.plain_model, self.best, self.optimiser,
                           {"facts": self.facts, "rows": self.rows, "step": step + 1})
        if main:
            self._finish()

    def _step(self, step: int) -> dict[str, Any]:
        settings, accelerator = self.settings, self.accelerator
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        batch = draw_batch(self.training, settings.batch, self.window, generator)
        clip_seeds = torch.randint(2**62, (settings.batch,), generator=generator)
        share = settings.batch // accelerator.num_processes
        mine = slice(accelerator.process_index * share, (accelerator.process_index + 1) * share)
        generators = [torch.Generator().manual_seed(int(seed)) for seed in clip_seeds[mine]]
        batch = Batch(*(getattr(batch, f.name)[mine].to(self.device) for f in dataclasses.fields(batch)))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, settings)
        self.model.train()
        with accelerator.autocast():
            motion = self.model(batch.features, batch.signals, self.hierarchy, generators)
        prediction, truth = batch.templates[:, None] + motion.float(), batch.templates[:, None] + batch.displacements
        terms = losses(prediction, truth, self.faces, self.weights, settings.loss, generators)
        self.optimiser.zero_grad()
        accelerator.backward(terms["total"])
        accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        values = accelerator.reduce(torch.stack([term.detach() for term in terms.values()]), "mean").tolist()
        return {"step": step + 1, "steps": settings.steps, **dict(zip(terms, values, strict=True))}

    @torch.no_grad()
    def _validate(self) -> float:
        self.plain_model.eval()
        errors = []
        for clip in self.validation.clips:
            motion = self.plain_model(clip.features[None].to(self.device),
                                      self.validation.signals[clip.speaker][None].to(self.device), self.hierarchy)[0]
            errors.append(lip_error_mm(motion, clip.displacements.to(self.device), self.lips))
        return sum(errors) / len(errors)

    def _write_log(self) -> None:
        with atomic_write(self.out / LOG) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")

    def _finish(self) -> None:
        self.plain_model.load_state_dict(self.best)
        save_model(self.plain_model, self.out)
        looks = [row for row in self.rows if "validation_lip_mm" in row]
        best = min(looks, key=lambda row: row["validation_lip_mm"])
        write_json(self.out / RUN, self.facts | {"best_step": best["step"], "validation_lip_mm": best["validation_lip_mm"]})
        (self.out / STATE).unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    default = TrainSettings()
    parser = argparse.ArgumentParser(prog="python -m otlib.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"), help="folder of audio features (%(default)s)")
    parser.add_argument("--settings", type=Path, help="JSON of TrainSettings; the options below override it")
    for name in ("encoder", "seed", "steps", "batch", "window", "learning_rate"):
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"({value})")
    parser.add_argument("--transport", type=float, help=f"weight of the sliced Wasserstein term ({default.loss.transport})")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more than one changes rounding (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        settings = settings_from(read_json(options.settings) if options.settings else {})
        named = ("encoder", "seed", "steps", "batch", "window", "learning_rate")
        given = {name: getattr(options, name) for name in named if getattr(options, name) is not None}
        settings = dataclasses.replace(settings, **given)
        if options.transport is not None:
            settings = dataclasses.replace(settings, loss=dataclasses.replace(settings.loss, transport=options.transport))
        train(options.data, options.out, settings, cache=options.cache, accelerator=Accelerator())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def settings_from(values: dict[str, Any]) -> TrainSettings:
    """Return settings from what JSON holds.

    Raises:
        InputError: an unknown name or an impossible value.
    """
    try:
        return TrainSettings(**{**values, "loss": LossSettings(**values.get("loss", {}))})
    except (TypeError, ValueError) as error:
        raise InputError(f"training settings: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
