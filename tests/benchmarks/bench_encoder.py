"""Speed and memory of the encoders, and what cutting a recording changes: part of ``make bench``.

- speed: how many times faster than real time a minute of sound is encoded, best of three;
- memory: peak of a fresh process that encodes five minutes and one that encodes an hour, stretch by stretch, without
  keeping the features;
- windows: largest difference between the features of a recording that is cut and of one that is not, beside their
  deviation: for the bundled encoder away from the ends, and for a HuBERT-base made from its config (random weights: the
  published ones are not at hand here), whose features depend on the whole clip.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from otlib.code_checksum import code_checksum
from otlib.files import write_json
from otlib.speech.encoder import BUNDLED, Encoder, encode, load_encoder
from otlib.speech.recording import read_recording, resampled
from otlib.speech.small_hubert import HOP, SAMPLE_RATE
from tests.benchmarks.bench_sliced import machine
from tests.benchmarks.targets import add_target, target_of

from transformers import HubertConfig, HubertModel  # isort: skip  (after otlib, whose guard lets it be imported)

WANTED_SPEED, WANTED_SAME = 100.0, 1e-3


def speech(minutes: float) -> torch.Tensor:
    """Sentences of the corpus's test speakers, again and again."""
    from data_prep.corpus.labelled_speech import corpus_speech

    once = np.concatenate([one.samples for one in corpus_speech("test", 8, 2)])
    wanted = round(minutes * 60 * SAMPLE_RATE)
    return torch.from_numpy(np.resize(once, wanted).astype(np.float32))


def speed(encoder: Encoder, samples: torch.Tensor, repeats: int) -> float:
    """Times faster than real time, the best of some runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        encode(encoder, samples)
        seconds.append(time.perf_counter() - start)
    return len(samples) / SAMPLE_RATE / min(seconds)


def peak_of_a_fresh_process(minutes: float, threads: int) -> float:
    """Largest anonymous memory, MB, of a process that reads and encodes a sound file of that length (Linux only)."""
    program = [sys.executable, "-m", "tests.benchmarks.bench_encoder", "--threads", str(threads), "--encode-minutes",
               str(minutes)]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def encode_minutes(minutes: float) -> float:
    """Encode a file of so many minutes at 22,050 Hz, stretch by stretch; return the most memory seen, in MB."""
    encoder, minute = load_encoder(BUNDLED), speech(1.0).numpy()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        with soundfile.SoundFile(file, "w", 22_050, 1) as sound:
            for _ in range(math.ceil(minutes)):
                sound.write(minute[: round(22_050 * 60 * min(1.0, minutes))])
        samples, seen = resampled(read_recording(file)), [anonymous_kilobytes()]
        frames = 0

        def count(stretch: torch.Tensor) -> torch.Tensor:
            nonlocal frames
            frames += len(stretch)
            seen.append(anonymous_kilobytes())
            return stretch[:0]

        encode(encoder, samples, keep=count)
    if frames != (len(samples) - 400) // HOP + 1:
        raise RuntimeError(f"{frames} frames for {len(samples)} samples")
    return max(seen) / 1000


def anonymous_kilobytes() -> int:
    """Memory that no file backs: what the system cannot take back."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def cutting(encoder: Encoder, samples: torch.Tensor, core: float) -> dict[str, float]:
    """Largest and mean difference that cutting makes, and the features' own deviation."""
    whole = encode(encoder, samples, replace(encoder.windows, core=10**9))
    cut = encode(encoder, samples, replace(encoder.windows, core=round(core * SAMPLE_RATE / HOP)))
    difference = (whole - cut).abs()
    return {"largest": float(difference.max()), "mean": float(difference.mean()), "deviation": float(whole.std())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    add_target(parser)
    parser.add_argument("--quick", action="store_true", help="little sound and no HuBERT-base, to try the program itself")
    parser.add_argument("--encode-minutes", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    target = target_of(parser, options, "encoder")
    torch.set_num_threads(options.threads)
    if options.encode_minutes is not None:
        print(json.dumps(encode_minutes(options.encode_minutes)))
        return 0
    minutes = (0.5, 1.5) if options.quick else (5.0, 60.0)
    bundled, minute = load_encoder(BUNDLED), speech(1.0)
    encode(bundled, minute[: 5 * SAMPLE_RATE])  # warm
    result = {"format": "otlib-bench", "version": 1, "machine": machine(),
              "code": code_checksum("tests.benchmarks.bench_encoder"), "load": list(os.getloadavg()),
              "bundled": {"times_real_time": speed(bundled, minute, 3), "windows": cutting(bundled, minute, 5.0),
                          "peak_mb": {f"{m:g} minutes": peak_of_a_fresh_process(m, options.threads) for m in minutes}}}
    if not options.quick:
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
            torch.manual_seed(0)
            HubertModel(HubertConfig()).save_pretrained(folder)
            base = load_encoder(folder)
        result["hubert_base_random"] = {"times_real_time": speed(base, minute[: 20 * SAMPLE_RATE], 2),
                                        "windows": cutting(base, minute[: 40 * SAMPLE_RATE], 10.0)}
    own = result["bundled"]
    peaks = list(own["peak_mb"].values())
    result["summary"] = {"fast_enough": own["times_real_time"] >= WANTED_SPEED,
                         "windows_change_nothing": own["windows"]["largest"] <= WANTED_SAME,
                         "memory_growth_mb": peaks[1] - peaks[0]}
    write_json(target, result)
    print(json.dumps(result["summary"] | {"times_real_time": own["times_real_time"]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
