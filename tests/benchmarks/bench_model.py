"""Speed of OT-Talk beside a FaceFormer-like baseline, in one process and in turns: ``make bench-model``.

4 seconds of sound, heads of 5,023 and of 23,370 vertices (a grid of as many points: speed knows no shape), and behind
both models the same HuBERT of base size, made from its configuration with random weights, since its speed does not depend
on them. The baseline (faceformer_like.py) is written here; neither model is trained. Measured for each:

- inference: encoder and model, and the encoder alone;
- a training step with the encoder's layers frozen and cached, so the rest alone: forward, loss, backward, optimiser. The
  baseline has its own loss (mean squared error), OT-Talk all of its terms, transport among them;
- extra peak memory of OT-Talk's inference at 23,370 vertices, in a fresh process;
- with the bundled encoder, how many times faster than real time OT-Talk goes from sound to vertices.

The median of a few turns is kept, with the load of the machine beside it. Results go to the run's bench/model.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from otlib.code_checksum import code_checksum
from otlib.files import write_json
from otlib.losses import LossSettings, losses
from otlib.models.ottalk import Geometry, ModelSettings, OTTalk, prepare_geometry
from otlib.predict import animate
from otlib.speech.encoder import Encoder, encode
from otlib.speech.features import align_by_interpolation, feature_source
from otlib.topology import Topology
from tests.benchmarks.bench_sliced import machine
from tests.benchmarks.faceformer_like import FaceFormerLike
from tests.benchmarks.sliced_problems import resident_kilobytes
from tests.benchmarks.targets import add_target, target_of

from transformers import HubertConfig, HubertModel  # isort: skip  (after otlib, whose guard lets it be imported)

SECONDS, FRAME_RATE = 4, 30.0
FRAMES = round(SECONDS * FRAME_RATE)
HEADS = {5023: (64, 30), 23370: (128, 25)}  # vertices: FaceFormer's width and period there
TURNS = 3


def head(vertices: int) -> tuple[torch.Tensor, Topology]:
    """Return a wavy sheet of just so many vertices, the size of a face: (V, 3) float32 metres; its first points are lips."""
    columns = int(np.sqrt(vertices))
    index = np.arange(vertices)
    row, column = np.divmod(index, columns)
    x, y = 0.2 * column / columns - 0.1, 0.2 * row / columns - 0.1
    points = np.stack([x, y, 0.03 * np.cos(15 * x) * np.cos(12 * y)], 1).astype(np.float32)
    corner = index[(column < columns - 1) & (index + columns + 1 < vertices)]
    faces = np.concatenate([np.stack([corner, corner + 1, corner + columns], 1),
                            np.stack([corner + 1, corner + columns + 1, corner + columns], 1)])
    return torch.from_numpy(points), Topology(faces, {"lips": index[: vertices // 20], "lip_gap": [0, 1]}, {}, vertices)


def base_encoder() -> Encoder:
    """Return a HuBERT of base size with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = HubertModel(HubertConfig()).eval().requires_grad_(False)
    return Encoder("base size, random weights", model, "random", False)


def new_model(layers: int, channels: int) -> OTTalk:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return OTTalk(ModelSettings(layers, channels))


def sound() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-0.3, 0.3, 16_000 * SECONDS).astype(np.float32))


def at_frames(features: torch.Tensor) -> torch.Tensor:
    return align_by_interpolation(features, FRAMES, FRAME_RATE)


def own_step(model: OTTalk, features: torch.Tensor, vertices: torch.Tensor, topology: Topology,
             geometry: Geometry) -> Callable[[], None]:
    """Return a training step of OT-Talk on one clip."""
    settings = LossSettings()
    truth = vertices + 0.001 * torch.randn(1, FRAMES, len(vertices), 3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(model.parameters())

    def step() -> None:
        model.train()
        generators = [torch.Generator().manual_seed(0)]
        prediction = vertices + model(features[None], geometry, generators)
        total = losses(prediction, truth, vertices[None], topology, settings, generators)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()

    return step


def baseline_step(model: FaceFormerLike, features: torch.Tensor, vertices: int) -> Callable[[], None]:
    """Return a training step of the baseline on one clip."""
    truth = 0.001 * torch.randn(1, FRAMES, vertices, 3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(model.parameters())

    def step() -> None:
        model.train()
        loss = (model(features[None]) - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def row(vertices: int, encoder: Encoder) -> dict[str, Any]:
    """Return the median seconds of each part for a head of so many vertices, all taken in turns."""
    points, topology = head(vertices)
    own = new_model(encoder.layers, encoder.channels)
    geometry = prepare_geometry(points, topology, own.settings)
    width, period = HEADS[vertices]
    peer = FaceFormerLike(encoder.channels, vertices, width, period)
    features = at_frames(encode(encoder, sound()))

    @torch.no_grad()
    def peer_inference() -> None:
        peer.eval()
        peer(at_frames(encode(encoder, sound()))[None, :, -1])

    calls = {
        "encoder": lambda: encode(encoder, sound()),
        "inference": lambda: animate(own, at_frames(encode(encoder, sound())), points, geometry),
        "baseline_inference": peer_inference,
        "step": own_step(own, features, points, topology, geometry),
        "baseline_step": baseline_step(peer, features[:, -1], vertices),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(TURNS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn compiles and allocates
                taken[name].append(time.perf_counter() - start)
    seconds = {name: float(np.median(values)) for name, values in taken.items()}
    return {"vertices": vertices, "seconds": seconds, "turns": taken,
            "inference_over_encoder": seconds["inference"] / seconds["encoder"],
            "step_over_baseline": seconds["step"] / seconds["baseline_step"],
            "parameters": {"ot_talk": sum(p.numel() for p in own.parameters()),
                           "baseline": sum(p.numel() for p in peer.parameters())}}


def bundled_row() -> dict[str, float]:
    """Return how fast the bundled encoder and OT-Talk go from sound to 5,023 vertices."""
    source = feature_source("bundled")
    points, topology = head(5023)
    model = new_model(source.layers, source.channels)
    geometry = prepare_geometry(points, topology, model.settings)
    taken = []
    for _ in range(TURNS + 1):
        start = time.perf_counter()
        animate(model, at_frames(source.extract(sound())), points, geometry)
        taken.append(time.perf_counter() - start)
    return {"seconds": float(np.median(taken[1:])), "times_real_time": SECONDS / float(np.median(taken[1:]))}


def peak_mb(vertices: int) -> dict[str, float]:
    """Return the peak memory of a process that does nothing but OT-Talk's inference, and of one that only imports."""
    found = {}
    for part in ("imports", "inference"):
        program = [sys.executable, "-m", "tests.benchmarks.bench_model", "--memory", part, str(vertices)]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        found[part] = float(done.stdout)
    return found


def memory(part: str, vertices: int) -> None:
    """Print the peak memory of this process in MB (Linux only; getrusage would count the parent's)."""
    if part == "inference":
        points, topology = head(vertices)
        encoder = base_encoder()
        model = new_model(encoder.layers, encoder.channels)
        geometry = prepare_geometry(points, topology, model.settings)
        animate(model, at_frames(encode(encoder, sound())), points, geometry)
    print(resident_kilobytes("VmHWM") * 1024 / 1e6)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    add_target(parser)
    parser.add_argument("--memory", nargs=2, metavar=("PART", "VERTICES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    target = target_of(parser, options, "model")
    torch.set_num_threads(options.threads)
    if options.memory:
        memory(options.memory[0], int(options.memory[1]))
        return 0
    load = list(os.getloadavg())
    encoder = base_encoder()
    rows = [row(vertices, encoder) for vertices in HEADS]
    small, large = rows
    rest = [r["seconds"]["step"] for r in rows]
    result = {
        "format": "otlib-bench-model", "version": 1, "machine": machine(),
        "code": code_checksum("tests.benchmarks.bench_model"), "load_before": load,
        "load_after": list(os.getloadavg()), "sound_seconds": SECONDS, "frames": FRAMES,
        "encoder": "HuBERT of base size from its configuration, random weights, frozen",
        "baseline": "FaceFormer-like, written here (tests/benchmarks/faceformer_like.py), not trained",
        "rows": rows, "bundled": bundled_row(), "peak_mb_at_23370": peak_mb(23370),
        "summary": {"inference_over_encoder": small["inference_over_encoder"],
                    "step_over_baseline": small["step_over_baseline"],
                    "step_grows": rest[1] / rest[0], "vertices_grow": large["vertices"] / small["vertices"]},
    }
    write_json(target, result)
    print(json.dumps({**result["summary"], **result["bundled"], **result["peak_mb_at_23370"]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
