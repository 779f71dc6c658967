"""The training loop: a seed gives one model, however often training is killed; see ``python -m otlib.train --help``."""

import contextlib
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from otlib.checks import NotFiniteError, check_finite
from otlib.code_checksum import code_checksum
from otlib.data.dataset import Dataset
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError
from otlib.files import atomic_write, read_json, read_object, sha256, write_json
from otlib.losses import key_losses, losses
from otlib.metrics import lip_error_mm
from otlib.models.kmtalk import Completed
from otlib.models.ottalk import OTTalk
from otlib.own_files import own_folder, remove
from otlib.phonemes.key_frames import KeyFinder
from otlib.speech.features import FeatureSource, feature_source
from otlib.train.batches import ClipSet, draw_batch, read_clips
from otlib.train.checkpoint import STATE, WEIGHTS, ModelFacts, load_state, read_facts, save_model, save_state
from otlib.train.host import read_host
from otlib.train.methods import METHODS, Model
from otlib.train.settings import TrainSettings, learning_rate, model_settings, trust
from otlib.train.tuned_encoder import FrozenEncoder, TunedEncoder, WholeModel

LOG, RUN = "log.jsonl", "run.json"
ASTRAY = 100.0  # metres: a training that moves a vertex by more, or by NaN, has diverged


def train(data: Path, out: Path, settings: TrainSettings, *, cache: Path = Path(".cache/features"),
          accelerator: Accelerator | None = None) -> dict[str, Any]:
    """Train a model and save it in ``out``: model.safetensors, model.json, log.jsonl, run.json, encoder/ if trained too.

    Args:
        data: folder of a data set.
        out: folder of the run, new, empty, or holding only what an earlier run wrote there; a finished run of the same
            settings, data and code is left as it is.
        settings: training settings.
        cache: folder of audio features.
        accelerator: Hugging Face's; by default the CPU, one process.

    Returns:
        The content of run.json: settings, checksums of data, encoder and code, best step and its validation error.

    Raises:
        InputError: the data set, the encoder, a setting or a checkpoint cannot be used, ``out`` cannot be written, holds
            anything else or overlaps an input, another run is writing it, or the training diverged.
    """
    accelerator = accelerator or Accelerator(cpu=True)
    refuse_overlap(out, [data, settings.encoder, *([settings.host] if settings.host else [])])
    refuse_overlap(cache, [data])
    with own_folder(out) if accelerator.is_main_process else contextlib.nullcontext():
        accelerator.wait_for_everyone()
        return _train(data, out, settings, cache, accelerator)


def _train(data: Path, out: Path, settings: TrainSettings, cache: Path, accelerator: Accelerator) -> dict[str, Any]:
    dataset = Dataset.open(data)
    if settings.frozen_layers is None:
        encoder = FrozenEncoder(feature_source(settings.encoder), cache)
    else:
        encoder = TunedEncoder(settings.encoder, settings.frozen_layers)
    if settings.batch % accelerator.num_processes:
        raise InputError(f"batch {settings.batch} cannot be shared out among {accelerator.num_processes} processes; "
                         "choose a multiple")
    facts = {"settings": json.loads(json.dumps(dataclasses.asdict(settings))), "data": dataset.checksum,
             "encoder": encoder.source.fingerprint, "code": code_checksum(__name__)}
    host = read_host(settings.host, encoder.source.fingerprint, dataset.frame_rate)
    if host is not None:
        facts["host"] = sha256(Path(settings.host) / WEIGHTS)
    if (out / RUN).is_file() and (done := read_object(out / RUN)) | facts == done:
        if accelerator.is_main_process:
            remove(out / STATE)  # of a run that was killed after it wrote run.json
        return done
    model = _new_model(settings, encoder.source, {sequence.subject for sequence in dataset.select("train")}, host)
    finder = KeyFinder(settings.keys, cache) if settings.method == "kmtalk" else None
    training = read_clips(dataset, "train", encoder, model.settings, speeds=settings.speeds, variations=settings.variations,
                          finder=finder)
    validation = read_clips(dataset, "val", encoder, model.settings, training.geometries[0].hierarchy, finder=finder)
    loop = _Loop(settings, facts, WholeModel(model, encoder), dataset, training, validation, accelerator, out)
    loop.run()
    accelerator.wait_for_everyone()
    return read_json(out / RUN)


def _new_model(settings: TrainSettings, source: FeatureSource, speakers: set[str], host: OTTalk | None) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        try:
            model = METHODS[settings.method][0](model_settings(settings, source, speakers, host))
        except ValueError as error:
            raise InputError(f"model settings: {error}") from error
    if host is not None:
        model.plug_into(host)
    return model


def parameter_groups(model: WholeModel, peak: float, encoder_peak: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups of parameters, each with the ``peak`` of its learning rate."""
    groups = [{"params": [parameter for parameter in part.parameters() if parameter.requires_grad], "peak": highest}
              for part, highest in ((model.talker, peak), (model.encoder, encoder_peak))]
    return [group for group in groups if group["params"]]


class _Loop:
    """The state of one training and its steps."""

    def __init__(self, settings: TrainSettings, facts: dict[str, Any], model: WholeModel, dataset: Dataset,
                 training: ClipSet, validation: ClipSet, accelerator: Accelerator, out: Path) -> None:
        self.settings, self.facts, self.accelerator, self.out = settings, facts, accelerator, out
        self.device, self.topology, self.frame_rate = accelerator.device, dataset.topology, dataset.frame_rate
        self.training, self.validation = training.to(self.device), validation.to(self.device)
        shortest = min(training.clips, key=lambda clip: len(clip.audio))
        if len(shortest.audio) < 2:
            raise InputError(f"{dataset.path}: clip {shortest.id} has a single frame, which no training can use; take it "
                             "out of the data set")
        self.window = min(settings.window, len(shortest.audio))
        self.plain_model = model
        optimiser = torch.optim.AdamW(parameter_groups(model, settings.learning_rate, settings.encoder_learning_rate),
                                      lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.best: dict[str, torch.Tensor] = {}
        self.rows: list[dict[str, Any]] = []
        self.first = 0
        if (file := out / STATE).is_file():
            stored = read_facts(file)
            if stored["facts"] != facts:
                raise InputError(f"{file}: is a checkpoint of other settings, data or code; delete the folder or choose "
                                 "another")
            self.best = load_state(file, model, optimiser)
            self.rows, self.first = stored["rows"], stored["step"]
        self.model, self.optimiser = accelerator.prepare(model, optimiser)

    def run(self) -> None:
        """Train until the last step, with checkpoints, and save the best model."""
        settings, main = self.settings, self.accelerator.is_main_process
        for step in tqdm(range(self.first, settings.steps), initial=self.first, total=settings.steps, desc=self.out.name,
                         unit="step", disable=None if main else True):
            validates = (step + 1) % settings.validate == 0 or step + 1 == settings.steps
            try:
                row = self._step(step) | ({"validation_lip_mm": self._validate()} if validates else {})
            except NotFiniteError as error:  # before anything is saved
                raise InputError(f"{self.out}: the training has diverged at step {step + 1} ({error}); train with a lower "
                                 "learning rate") from error
            if validates and row["validation_lip_mm"] < min(map(_lip_error, self.rows), default=math.inf):
                self.best = {key: value.detach().cpu().clone() for key, value in self.plain_model.state_dict().items()}
            if step % 10 == 0 or validates:
                self.rows.append(row)
                if main:
                    self._write_log()
            if validates and main:
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
        batch = batch.share(mine, self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, settings, group["peak"])
        self.model.train()
        keyed = {} if batch.keys is None else {"keys": batch.keys, "trust": trust(step, settings),
                                               "true_motion": batch.vertices - batch.templates[:, None]}
        with accelerator.autocast():
            shown = self.model(batch.audio, batch.geometry, generators, batch.speakers, **keyed)
        motion = shown.motion if isinstance(shown, Completed) else shown
        if not bool((farthest := motion.detach().abs().max()) < ASTRAY):
            raise NotFiniteError(f"a vertex has moved by {farthest:.3g} m")
        prediction = batch.templates[:, None] + motion.float()
        terms = losses(prediction, batch.vertices, batch.templates, self.topology, settings.loss, generators)
        if isinstance(shown, Completed) and settings.loss.keys > 0 and not settings.host:
            terms |= key_losses(shown.key_motion.float(), shown.places.index, shown.places.counts, batch.vertices,
                                batch.templates, self.topology, settings.loss, generators)
            terms["total"] = terms["total"] + settings.loss.keys * terms["key_total"]
        self.optimiser.zero_grad()
        accelerator.backward(terms["total"])
        length = accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        if accelerator.scaler is None:  # a scaler, for half precision, skips such a step and goes on with a lower scale
            check_finite("the length of the gradient", length)
        self.optimiser.step()
        values = accelerator.reduce(torch.stack([term.detach() for term in terms.values()]), "mean").tolist()
        return {"step": step + 1, "steps": settings.steps, **dict(zip(terms, values, strict=True))}

    @torch.no_grad()
    def _validate(self) -> float:
        model, clips, errors = self.plain_model.eval(), self.validation, []
        for clip in clips.clips:
            features, geometry = model.encoder.whole(clip.audio).to(self.device), clips.geometries[0].of([clip.speaker])
            keyed = {} if clip.keys is None else {"keys": clip.keys[None].to(self.device)}
            shown = model.talker(features[None], geometry, speakers=[clips.speakers[clip.speaker]], **keyed)
            motion = shown.motion if isinstance(shown, Completed) else shown
            prediction = clips.templates[clip.speaker] + motion[0].cpu()
            errors.append(lip_error_mm(clip.vertices.numpy(), prediction.numpy(), self.topology.lips))
        return sum(errors) / len(errors)

    def _write_log(self) -> None:
        with atomic_write(self.out / LOG) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")

    def _finish(self) -> None:
        self.plain_model.load_state_dict(self.best)
        remove(self.out / RUN)  # of an earlier run, whose model is replaced now
        name, fingerprint = self.plain_model.encoder.save(self.out)
        save_model(self.plain_model.talker, self.out, ModelFacts(
            self.frame_rate, name, fingerprint, self.settings.method, self.settings.keys))
        best = min(self.rows, key=_lip_error)
        write_json(self.out / RUN, self.facts | {"best_step": best["step"], "validation_lip_mm": _lip_error(best)})
        remove(self.out / STATE)


def _lip_error(row: dict[str, Any]) -> float:
    return row.get("validation_lip_mm", math.inf)
