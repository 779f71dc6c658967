"""How long a run of the suite will still take, shown on a terminal."""

import json
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm


class TimeLeft:
    """A bar over the whole suite, in seconds as they usually pass, with the training's own progress beside it."""

    def __init__(self, total: int, models: Path) -> None:
        self._models = models
        self._bar = tqdm(total=total, unit="s", bar_format="{l_bar}{bar}| about {postfix}", file=sys.stderr, disable=None)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, name: str, usual: int) -> None:
        """Start to count one notebook, which usually takes so many seconds."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._count, args=(name, usual), daemon=True)
        self._thread.start()

    def _count(self, name: str, usual: int) -> None:
        start, counted = time.monotonic(), 0
        while not self._stop.wait(1.0):
            now = min(int(time.monotonic() - start), usual)
            self._bar.update(now - counted)
            counted = now
            left = self._bar.total - self._bar.n
            self._bar.set_description_str(name + training_progress(self._models, time.monotonic() - start))
            self._bar.set_postfix_str(f"{left // 60} min {left % 60:02d} s left")
        self._bar.update(usual - counted)

    def end(self) -> None:
        """Stop to count the notebook that began."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def skip(self, usual: int) -> None:
        """Take out a notebook that need not run."""
        self._bar.total -= usual

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def training_progress(models: Path, age: float) -> str:
    """Return " (step 120 of 900)" of the training under ``models`` that wrote its log last, else nothing.

    Args:
        models: folder of a run's trainings.
        age: seconds since the notebook began; a log that is older, or older than 20 seconds, is not of now.
    """
    times = {file: file.stat().st_mtime for file in models.glob("*/log.jsonl")}
    recent = {file: changed for file, changed in times.items() if time.time() - changed < min(age, 20)}
    if not recent:
        return ""
    lines = max(recent, key=recent.get).read_text(encoding="utf-8").strip().splitlines()
    if not lines:
        return ""
    row = json.loads(lines[-1])
    return f" (step {row['step']} of {row['steps']})"
