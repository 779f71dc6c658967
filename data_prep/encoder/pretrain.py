"""Pre-train a small HuBERT: units, masked prediction, better units, again.

    python -m data_prep.encoder.pretrain --out data/hubert-small --hours 6 --steps 800 800 6000

Round 1 predicts k-means units of MFCC, round 2 units of an inner layer of round 1's encoder (Hsu et al. 2021). Round 3
is ours: the units are the phonemes that were spoken. HuBERT clusters because nobody has labelled its recordings; synthetic
speech comes with its phonemes, and they teach in an hour what clusters teach in days.

    python -m data_prep.encoder.pretrain --out FOLDER --flite-hours 2 --people RECORDINGS --teacher

People's recordings, which have no labels, take part in the rounds of clusters, as does Kokoro's speech (``--kokoro``);
in the third a teacher that has heard people (:mod:`data_prep.encoder.teacher`) names the sounds of both, and what it hears
in all speech is learnt besides. Killed and started again
with the same settings it goes on from the last checkpoint; speech, units and lessons are kept beside it.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import dataclasses
import functools
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from tqdm import tqdm
from transformers import HubertModel

from data_prep.corpus.augmentation import augment
from data_prep.encoder import flite_speech, kokoro_speech
from data_prep.encoder.frame_labels import LABELS, frame_labels
from data_prep.encoder.made_up_speech import Utterance, speech_pool
from data_prep.encoder.material import Crops, Material, draw_batch, kept_pool, kept_rows
from data_prep.encoder.objective import MaskedUnitPrediction, Masking, draw_mask, frame_count, mfcc
from data_prep.encoder.people import people_pool
from data_prep.encoder.teacher import CHANNELS, Teacher, lessons, named, naming
from otlib.commands import Parser, command
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError
from otlib.files import atomic_write, read_json, read_tensors, sha256, write_json, write_tensors
from otlib.own_files import own_folder
from otlib.settings import HOURS, SEEDS, STEPS, THREADS, Range, number_of
from otlib.speech.small_hubert import SAMPLE_RATE, running_gain, small_configuration

UNLABELLED = ("people", "kokoro")  # whose sounds the teacher names


@dataclass(frozen=True)
class Recipe:
    """Settings of one pre-training.

    Attributes:
        seed: of speech, units, weights, crops and masks.
        hours, flite_hours, kokoro_hours: of synthetic speech by espeak-ng, by flite and by Kokoro.
        shares: of the crops that are espeak-ng's, flite's, people's and Kokoro's, as far as there are any.
        teacher: whether the third round has one.
        steps: optimiser steps in each round: MFCC units, inner units, phonemes.
        units: k-means clusters in the first two rounds (paper: 100, then 500).
        inner_layer: layer whose features the second round clusters (paper: 6 of 12).
        batch, crop_frames: clips a step and their length in frames of 20 ms.
        speeds: each crop is heard at a speed drawn between these, as from vocal tracts of other lengths.
        hidden: chance of a frame to begin a hidden span, in each round (paper: 0.08). The phoneme round hides fewer: what
            counts there is to name what is heard.
        frozen: convolutions, the first ones, that stay as they are (they cost most of a step).
        learning_rate, warm_up: peak of AdamW and the share of steps until it, then linear decay (paper: 8 %).
        precision: "bfloat16" (autocast) or "float32".
    """

    seed: int = 0
    hours: float = 6.0
    flite_hours: float = 0.0
    kokoro_hours: float = 0.0
    shares: tuple[float, float, float, float] = (0.25, 0.2, 0.35, 0.2)
    teacher: bool = False
    steps: tuple[int, int, int] = (800, 800, 6000)
    units: tuple[int, int] = (100, 200)
    inner_layer: int = 4
    batch: int = 8
    crop_frames: int = 199
    speeds: tuple[float, float] = (0.9, 1.12)
    hidden: tuple[float, float, float] = (0.08, 0.08, 0.02)
    frozen: int = 0
    learning_rate: float = 1e-3
    warm_up: float = 0.08
    precision: str = "bfloat16"

    @property
    def crops(self) -> Crops:
        """How crops are cut."""
        return Crops(self.batch, self.crop_frames, self.speeds)


def _floats(utterance: Utterance) -> torch.Tensor:
    return torch.from_numpy(utterance.samples.astype(np.float32) / 32768)[None]


@torch.no_grad()
def _features(pool: list[Utterance], encoder: HubertModel | None, layer: int):
    for utterance in tqdm(pool, desc="features", unit="clip"):
        samples = running_gain(_floats(utterance))
        yield (mfcc(samples) if encoder is None
               else encoder(samples, output_hidden_states=True).hidden_states[layer])[0].numpy()


def hidden_units(pool: list[Utterance], clusters: int, seed: int, encoder: HubertModel | None = None,
                 layer: int = 0) -> list[np.ndarray]:
    """Return the k-means unit of every frame of every utterance, on MFCC or on a layer of ``encoder``."""
    features = list(_features(pool, encoder, layer))
    generator, rows = np.random.default_rng(seed), np.concatenate(features)
    chosen = rows[generator.permutation(len(rows))[:200_000]]
    means = MiniBatchKMeans(clusters, random_state=seed, batch_size=10_000, n_init=3, max_iter=60).fit(chosen)
    return [means.predict(clip).astype(np.int64) for clip in features]


def _rate(step: int, steps: int, recipe: Recipe) -> float:
    rise = max(1, round(steps * recipe.warm_up))
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def train_round(model: MaskedUnitPrediction, materials: Sequence[Material], steps: int, recipe: Recipe, hidden: float,
                checkpoint: Path, every: int = 100) -> list[dict]:
    """Train for ``steps``; save weights, optimiser and log to ``checkpoint`` on the way and resume from it.

    Seven arguments: what is trained, on what, how long and how, and where it is kept.
    """
    _freeze(model.encoder, recipe.frozen)
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad],
                                  lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    log, first = [], 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        log, first = json.loads(state["log"]), state["step"]
    model.train()
    for step in (bar := tqdm(range(first, steps), initial=first, total=steps, desc=checkpoint.stem, unit="step")):
        generator = np.random.default_rng([recipe.seed, sum(len(one.pool) for one in materials), step])
        torch_generator = torch.Generator().manual_seed(int(generator.integers(2**62)))
        batch = draw_batch(materials, recipe.crops, generator)
        samples = running_gain(augment(batch.samples, SAMPLE_RATE, torch_generator))
        mask = draw_mask(recipe.batch, recipe.crop_frames, Masking(hidden), torch_generator)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step, steps, recipe)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss, accuracy = model(samples, batch.units, mask, batch.lessons)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        log.append({"step": step, "loss": loss.item(), "accuracy": accuracy.item()})
        if step % 20 == 0:
            recent = log[-50:]
            bar.set_postfix(loss=f"{np.mean([r['loss'] for r in recent]):.2f}",
                            accuracy=f"{np.mean([r['accuracy'] for r in recent]):.3f}")
        if (step + 1) % every == 0 or step + 1 == steps:
            content = io.BytesIO()  # torch's own writer tells of a full disk in an error of its own kind
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "log": json.dumps(log),
                        "step": step + 1}, content)
            with atomic_write(checkpoint) as temporary:
                temporary.write_bytes(content.getvalue())
    return log


def _freeze(encoder: HubertModel, convolutions: int) -> None:
    """Leave the first convolutions out of the training; transformers knows only all of them or none."""
    if convolutions:
        encoder.feature_extractor._freeze_parameters()
        for layer in encoder.feature_extractor.conv_layers[convolutions:]:
            layer.requires_grad_(True)


def save_encoder(encoder: HubertModel, folder: Path) -> None:
    """Write weights in half precision (safetensors) and the configuration, as transformers reads them."""
    weights = {name: tensor.to(torch.float16).contiguous() for name, tensor in encoder.state_dict().items()}
    write_tensors(folder / "model.safetensors", weights, {"format": "pt"})
    write_json(folder / "config.json", encoder.config.to_dict())


@dataclass(frozen=True)
class Sources:
    """Folders that a pre-training reads; each may be missing.

    Attributes:
        start: an encoder whose first two rounds are done; the phoneme round goes on from it.
        people: recordings of people.
        kokoro: Kokoro's speakers (:mod:`data_prep.encoder.kokoro_speech`).
    """

    start: Path | None = None
    people: Path | None = None
    kokoro: Path | None = None

    @property
    def given(self) -> list[Path]:
        """The folders that are there."""
        return [folder for folder in (self.start, self.people, self.kokoro) if folder is not None]


NOTHING = Sources()  # what espeak-ng says is all


def _claim(work: Path, recipe: Recipe, sources: Sources) -> None:
    """Refuse a folder with another recipe's speech and checkpoints; only the numbers of steps may change."""
    folders = {name: folder and str(folder) for name, folder in dataclasses.asdict(sources).items()}
    settings = json.loads(json.dumps({**dataclasses.asdict(recipe), "steps": None, **folders}))
    file = work / "settings.json"
    if file.exists() and read_json(file) != settings:
        raise InputError(f"{work}: holds the checkpoints of other settings; give another folder with --work, or remove it")
    write_json(file, settings)


def _speech(recipe: Recipe, sources: Sources, work: Path, processes: int) -> dict[str, list[Utterance]]:
    """Return the utterances of each kind that are as long as the slowest crop."""
    pools = {"espeak": kept_pool(work / "espeak.npz", lambda: speech_pool(recipe.seed, recipe.hours, processes))}
    if recipe.flite_hours:
        pools["flite"] = kept_pool(work / "flite.npz", lambda: speech_pool(recipe.seed, recipe.flite_hours, processes,
                                                                           flite_speech.draw_utterance))
    if sources.people is not None:
        pools["people"] = kept_pool(work / "people.npz", lambda: people_pool(sources.people))
    if sources.kokoro is not None:
        draw = functools.partial(kokoro_speech.draw_utterance, sources.kokoro)
        pools["kokoro"] = kept_pool(work / "kokoro.npz", lambda: speech_pool(recipe.seed, recipe.kokoro_hours, processes,
                                                                             draw))
    shortest, _ = recipe.crops.samples
    return {kind: [one for one in pool if len(one.samples) >= shortest] for kind, pool in pools.items()}


def _clustered(number: int, pools: dict[str, list[Utterance]], recipe: Recipe, encoder: HubertModel | None,
               work: Path) -> list[Material]:
    """Return all speech with the units of round 1 or 2; clusters are made once."""
    together = [one for pool in pools.values() for one in pool]
    units = iter(kept_rows(work / f"units{number}.npz", lambda: hidden_units(
        together, recipe.units[number - 1], recipe.seed, encoder, recipe.inner_layer)))
    return [Material(pool, [next(units) for _ in pool], share)
            for pool, share in zip(pools.values(), _shares(pools, recipe), strict=True)]


def _phonemes(pools: dict[str, list[Utterance]], recipe: Recipe, work: Path) -> list[Material]:
    """Return speech with its phonemes, as they were spoken or as the teacher names them, and what the teacher hears.

    Without a teacher, speech that has no phonemes is left out.
    """
    labels = {kind: [frame_labels(one.phonemes, frame_count(len(one.samples))) for one in pool]
              for kind, pool in pools.items() if kind not in UNLABELLED}
    heard: dict[str, list[np.ndarray]] = {}
    if recipe.teacher:
        heard = {kind: kept_rows(work / f"{kind}_lessons.npz", lambda pool=pool: lessons(Teacher.load(), pool))
                 for kind, pool in pools.items()}
        for kind in UNLABELLED:
            if kind in pools:
                labels[kind] = kept_rows(work / f"{kind}_names.npz", lambda kind=kind: _named(
                    pools[kind], heard[kind], pools["flite"], recipe.seed))
        rows = np.concatenate([one for clips in heard.values() for one in clips[::10]]).astype(np.float32)
        mean, deviation = rows.mean(0), rows.std(0)
        heard = {kind: [((one - mean) / deviation).astype(np.float16) for one in clips] for kind, clips in heard.items()}
    return [Material(pools[kind], labels[kind], share, heard.get(kind))
            for kind, share in zip(pools, _shares(pools, recipe), strict=True) if kind in labels]


def _named(pool: list[Utterance], heard: list[np.ndarray], known: list[Utterance], seed: int) -> list[np.ndarray]:
    teacher = Teacher.load()
    classifier = naming(teacher, known, seed)
    return [named(classifier, features, teacher.speech(one.samples.astype(np.float32) / 32768))
            for features, one in zip(heard, pool, strict=True)]


def _shares(pools: dict[str, list[Utterance]], recipe: Recipe) -> list[float]:
    return [dict(zip(("espeak", "flite", *UNLABELLED), recipe.shares, strict=True))[kind] for kind in pools]


def pretrain(recipe: Recipe, out: Path, work: Path, processes: int = 1, sources: Sources = NOTHING) -> None:
    """Run every round of ``recipe``; after each the encoder so far lies in ``out``.

    Args:
        recipe: see there.
        out, work: folders for the encoder and for checkpoints.
        processes: that speak.
        sources: folders to read.

    Raises:
        InputError: no encoder of this shape lies in ``start``, no recording for training in ``people``, no speaker in
            ``kokoro``, or flite, Kokoro or the teacher is wanted and not installed.
    """
    if recipe.teacher and not recipe.flite_hours:
        raise InputError("the teacher: names sounds by what it has learnt from flite's voices; give --flite-hours, too")
    _claim(work, recipe, sources)
    pools = _speech(recipe, sources, work, processes)
    torch.manual_seed(recipe.seed)  # transformers initialises from the global state
    encoder, log = HubertModel(small_configuration()), {}
    origin = None
    if sources.start is not None:
        encoder.load_state_dict(_weights(sources.start))
        origin = sha256(sources.start / "model.safetensors")
    for number in (3,) if origin is not None else (1, 2, 3):
        materials = (_phonemes(pools, recipe, work) if number == 3
                     else _clustered(number, pools, recipe, encoder.eval() if number > 1 else None, work))
        taught = CHANNELS if number == 3 and recipe.teacher else 0
        model = MaskedUnitPrediction(encoder, len(LABELS) if number == 3 else recipe.units[number - 1], taught)
        log[f"round{number}"] = train_round(model, materials, recipe.steps[number - 1], recipe, recipe.hidden[number - 1],
                                            work / f"round{number}.pt")
        encoder = model.encoder.eval()
        save_encoder(encoder, out)
        write_json(out / "pretraining.json", {
            "recipe": dataclasses.asdict(recipe), "start_sha256": origin,
            "speech_minutes": {kind: round(sum(len(one.samples) for one in pool) / SAMPLE_RATE / 60, 1)
                               for kind, pool in pools.items()},
            "log": {name: [{key: float(f"{value:.4g}") for key, value in row.items()} for row in rows[::25]]
                    for name, rows in log.items()}})


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor.float() for name, tensor in read_tensors(folder / "model.safetensors")[0].items()}
    except InputError as error:
        raise InputError(f"{error}; name an encoder that this recipe made") from error


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m data_prep.encoder.pretrain", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Recipe()
    parser.add_argument("--out", type=Path, required=True, help="folder for the encoder (transformers' format)")
    parser.add_argument("--work", type=Path, default=Path(".cache/pretraining"), help="folder for checkpoints (%(default)s)")
    parser.add_argument("--hours", type=number_of(float, HOURS), default=default.hours,
                        help="of espeak-ng's speech (%(default)s)")
    parser.add_argument("--flite-hours", type=number_of(float, Range(0, HOURS.high)), default=default.flite_hours,
                        help="of flite's speech (%(default)s)")
    parser.add_argument("--people", type=Path, metavar="DIR", help="recordings of people, without labels")
    parser.add_argument("--kokoro", type=Path, metavar="DIR", help="speakers of Kokoro, which reads the same texts")
    parser.add_argument("--kokoro-hours", type=number_of(float, HOURS), default=1.0, help="of its speech (%(default)s)")
    parser.add_argument("--teacher", action="store_true", help="the phoneme round learns from a model that has heard people")
    parser.add_argument("--frozen", type=number_of(int, Range(0, 7)), default=default.frozen,
                        help="first convolutions that stay (%(default)s)")
    parser.add_argument("--rate", type=number_of(float, Range(0, 1, above=True)), default=default.learning_rate,
                        help="peak learning rate (%(default)s)")
    parser.add_argument("--steps", type=number_of(int, STEPS), nargs=3, default=default.steps,
                        help="in each round (%(default)s)")
    parser.add_argument("--start", type=Path, metavar="DIR",
                        help="an encoder whose first two rounds are done; only the phoneme round is run")
    parser.add_argument("--seed", type=number_of(int, SEEDS), default=default.seed, help="(%(default)s)")
    parser.add_argument("--threads", type=number_of(int, THREADS), default=torch.get_num_threads(),
                        help="for torch (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = Recipe(seed=options.seed, hours=options.hours, flite_hours=options.flite_hours,
                    kokoro_hours=options.kokoro_hours if options.kokoro else 0.0, teacher=options.teacher,
                    steps=tuple(options.steps), frozen=options.frozen, learning_rate=options.rate)
    sources = Sources(options.start, options.people, options.kokoro)
    for folder in (options.out, options.work):
        refuse_overlap(folder, sources.given)
    with own_folder(options.work), own_folder(options.out):
        pretrain(recipe, options.out, options.work, options.threads, sources)
    return 0
