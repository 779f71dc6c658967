"""Pre-train the bundled HuBERT from nothing but synthetic speech: units, masked prediction, better units, again.

    python -m data_prep.encoder.pretrain --out otlib/speech/encoders/hubert-small --hours 6 --steps 800 800 6000

Round 1 predicts k-means units of MFCC, round 2 units of an inner layer of round 1's encoder (Hsu et al. 2021). Round 3
is ours: the units are the phonemes that espeak-ng spoke. HuBERT clusters because nobody has labelled its recordings; here
the speech comes with its phonemes, and they teach in an hour what clusters teach in days. Killed and started again with
the same settings it goes on from the last checkpoint.
"""

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from sklearn.cluster import MiniBatchKMeans
from tqdm import tqdm
from transformers import HubertModel

from data_prep.corpus.augmentation import augment
from data_prep.encoder.frame_labels import LABELS, frame_labels
from data_prep.encoder.made_up_speech import Utterance, speech_pool
from data_prep.encoder.objective import MaskedUnitPrediction, Masking, draw_mask, frame_count, mfcc
from otlib.errors import InputError
from otlib.files import atomic_write, sha256, write_json
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW, running_gain, small_configuration


@dataclass(frozen=True)
class Recipe:
    """Settings of one pre-training.

    Attributes:
        seed: of speech, units, weights, crops and masks.
        hours: of synthetic speech.
        steps: optimiser steps in each round: MFCC units, inner units, phonemes.
        units: k-means clusters in the first two rounds (paper: 100, then 500).
        inner_layer: layer whose features the second round clusters (paper: 6 of 12).
        batch, crop_frames: clips a step and their length in frames of 20 ms.
        speeds: each crop is heard at a speed drawn between these, as from vocal tracts of other lengths.
        hidden: chance of a frame to begin a hidden span, in each round (paper: 0.08). The phoneme round hides fewer: what
            counts there is to name what is heard.
        learning_rate, warm_up: peak of AdamW and the share of steps until it, then linear decay (paper: 8 %).
        precision: "bfloat16" (autocast) or "float32".
    """

    seed: int = 0
    hours: float = 6.0
    steps: tuple[int, int, int] = (800, 800, 6000)
    units: tuple[int, int] = (100, 200)
    inner_layer: int = 4
    batch: int = 8
    crop_frames: int = 199
    speeds: tuple[float, float] = (0.9, 1.12)
    hidden: tuple[float, float, float] = (0.08, 0.08, 0.02)
    learning_rate: float = 1e-3
    warm_up: float = 0.08
    precision: str = "bfloat16"


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


def _batch(pool, units, recipe: Recipe, generator: np.random.Generator):
    length = (recipe.crop_frames - 1) * HOP + WINDOW
    samples, targets = np.zeros((recipe.batch, length), np.float32), np.zeros((recipe.batch, recipe.crop_frames), np.int64)
    for row in range(recipe.batch):
        speed = generator.uniform(*recipe.speeds)
        heard = int(speed * length) + 1  # samples of the recording that make one crop
        while True:
            index = int(generator.integers(len(pool)))
            spare = (len(pool[index].samples) - heard) // HOP
            if spare >= 0:
                break
        start = int(generator.integers(spare + 1))
        crop = pool[index].samples[start * HOP: start * HOP + heard]
        samples[row] = np.interp(speed * np.arange(length), np.arange(heard), crop) / 32768
        middle = speed * (np.arange(recipe.crop_frames) * HOP + WINDOW / 2)  # in samples from the crop's start
        frame = np.rint((middle - WINDOW / 2) / HOP).astype(np.int64)
        targets[row] = units[index][start + frame.clip(0, len(units[index]) - 1 - start)]
    return torch.from_numpy(samples), torch.from_numpy(targets)


def _rate(step: int, steps: int, recipe: Recipe) -> float:
    rise = max(1, round(steps * recipe.warm_up))
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def train_round(model: MaskedUnitPrediction, pool, units, steps: int, recipe: Recipe, hidden: float, checkpoint: Path,
                every: int = 250) -> list[dict]:
    """Train for ``steps``; save weights, optimiser and log to ``checkpoint`` on the way and resume from it.

    Eight arguments: what is trained, on what, how long and how, and where it is kept.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    log, first = [], 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        log, first = json.loads(state["log"]), state["step"]
    model.train()
    for step in (bar := tqdm(range(first, steps), initial=first, total=steps, desc=checkpoint.stem, unit="step")):
        generator = np.random.default_rng([recipe.seed, len(units), step])
        torch_generator = torch.Generator().manual_seed(int(generator.integers(2**62)))
        samples, targets = _batch(pool, units, recipe, generator)
        samples = running_gain(augment(samples, SAMPLE_RATE, torch_generator))
        mask = draw_mask(recipe.batch, recipe.crop_frames, Masking(hidden), torch_generator)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step, steps, recipe)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss, accuracy = model(samples, targets, mask)
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
            with atomic_write(checkpoint) as temporary:
                torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "log": json.dumps(log),
                            "step": step + 1}, temporary)
    return log


def save_encoder(encoder: HubertModel, folder: Path) -> None:
    """Write weights in half precision (safetensors) and the configuration, as transformers reads them."""
    weights = {name: tensor.to(torch.float16).contiguous() for name, tensor in encoder.state_dict().items()}
    with atomic_write(folder / "model.safetensors") as temporary:
        safetensors.torch.save_file(weights, temporary, metadata={"format": "pt"})
    write_json(folder / "config.json", encoder.config.to_dict())


def _units(number: int, pool: list[Utterance], recipe: Recipe, encoder: HubertModel | None, work: Path) -> list[np.ndarray]:
    """Return what round ``number`` predicts, one number for each frame of each utterance; clusters are made once."""
    if number == len(recipe.steps):
        return [frame_labels(utterance.phonemes, frame_count(len(utterance.samples))) for utterance in pool]
    file = work / f"units{number}.npz"
    if not file.exists():
        units = hidden_units(pool, recipe.units[number - 1], recipe.seed, encoder, recipe.inner_layer)
        with atomic_write(file) as temporary:
            np.savez(temporary, units=np.concatenate(units), lengths=[len(u) for u in units])
    stored = np.load(file, allow_pickle=False)
    return np.split(stored["units"], np.cumsum(stored["lengths"])[:-1])


def pretrain(recipe: Recipe, out: Path, work: Path, processes: int = 1, start: Path | None = None) -> None:
    """Run every round of ``recipe``; after each the encoder so far lies in ``out``.

    Args:
        recipe: see there.
        out, work: folders for the encoder and for checkpoints.
        processes: that speak.
        start: folder of an encoder whose first two rounds are done; the phoneme round goes on from it.

    Raises:
        InputError: no encoder of this shape lies in ``start``.
    """
    pool = speech_pool(recipe.seed, recipe.hours, processes)
    torch.manual_seed(recipe.seed)  # transformers initialises from the global state
    encoder, log = HubertModel(small_configuration()), {}
    origin = None
    if start is not None:
        encoder.load_state_dict(_weights(start))
        origin = sha256(start / "model.safetensors")
    for number in (3,) if start is not None else (1, 2, 3):
        units = _units(number, pool, recipe, encoder.eval() if number > 1 else None, work)
        model = MaskedUnitPrediction(encoder, len(LABELS) if number == 3 else recipe.units[number - 1])
        log[f"round{number}"] = train_round(model, pool, units, recipe.steps[number - 1], recipe, recipe.hidden[number - 1],
                                            work / f"round{number}.pt")
        encoder = model.encoder.eval()
        save_encoder(encoder, out)
        write_json(out / "pretraining.json", {
            "recipe": dataclasses.asdict(recipe), "start_sha256": origin,
            "log": {name: [{key: float(f"{value:.4g}") for key, value in row.items()} for row in rows[::25]]
                    for name, rows in log.items()}})


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    file = folder / "model.safetensors"
    try:
        return {name: tensor.float() for name, tensor in safetensors.torch.load_file(file).items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{file}: no weights to start from ({error}); name an encoder that this recipe made") from error


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.encoder.pretrain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Recipe()
    parser.add_argument("--out", type=Path, required=True, help="folder for the encoder (transformers' format)")
    parser.add_argument("--work", type=Path, default=Path(".cache/pretraining"), help="folder for checkpoints (%(default)s)")
    parser.add_argument("--hours", type=float, default=default.hours, help="of synthetic speech (%(default)s)")
    parser.add_argument("--steps", type=int, nargs=3, default=default.steps, help="in each round (%(default)s)")
    parser.add_argument("--start", type=Path, metavar="DIR",
                        help="an encoder whose first two rounds are done; only the phoneme round is run")
    parser.add_argument("--seed", type=int, default=default.seed, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="for torch (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = Recipe(seed=options.seed, hours=options.hours, steps=tuple(options.steps))
    try:
        pretrain(recipe, options.out, options.work, options.threads, options.start)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
