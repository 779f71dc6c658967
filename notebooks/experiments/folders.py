"""Where everything lies: seen from this file and not from the folder that a program runs in.

Committed results are in ``results/reference``, which one command writes (``notebooks.driver.update_reference``). What a
person runs goes to ``results/runs/NAME``, which git ignores.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from otlib.errors import InputError
from otlib.files import sha256
from otlib.own_files import claim

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
PAPER = ROOT / "results" / "paper"
DEFAULT_RUN = "fast"  # what `make demo` leaves
MODELS = {"ottalk": "ot_talk", "kmtalk": "kmtalk"}  # methods that make a talking head, and what their models are called
DEFAULT_METHOD = "ottalk"

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_TAKEN = ("compare", "reference")
_LONGEST_STEM = 60  # letters, of at most four bytes each: a folder's name has at most 255


@dataclass(frozen=True)
class Folders:
    """The folders of a run.

    Attributes:
        profile: whose corpus it uses; all runs of a profile share it and its audio features.
        run: the run's name; empty: the profile's.
        root: the checkout.

    Raises:
        InputError: a name that cannot be a folder's here.
    """

    profile: str = DEFAULT_RUN
    run: str = ""
    root: Path = ROOT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            raise InputError(f"run {self.name!r}: choose a name of at most 64 letters, digits, '_', '-' and '.', that does "
                             f"not begin with '.' and is not {' or '.join(_TAKEN)}")

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run or self.profile

    @property
    def corpus(self) -> Path:
        """The profile's data set."""
        return self.root / "data" / self.profile / "corpus"

    @property
    def features(self) -> Path:
        """Audio features, kept from run to run."""
        return self.root / "data" / self.profile / "features"

    @property
    def results(self) -> Path:
        """All that the run leaves."""
        return self.root / "results" / "runs" / self.name

    @property
    def runs(self) -> Path:
        """Where all runs are, a folder each."""
        return self.results.parent

    def claimed(self) -> "Folders":
        """Make the run's folder, if it is new, one that this project may write into; return the same folders.

        Raises:
            InputError: somebody else made it (:func:`otlib.own_files.claim`).
        """
        claim(self.results)
        return self

    @property
    def models(self) -> Path:
        """The trained models, a folder each."""
        return self.results / "models"

    @property
    def notebooks(self) -> Path:
        """The executed notebooks, with the stamps of those that are done."""
        return self.results / "notebooks"

    @property
    def bench(self) -> Path:
        """What was timed and measured beside the notebooks."""
        return self.results / "bench"

    def sweep(self, name: str) -> Path:
        """Return the folder of a sweep's results; its trainings are in ``work`` there."""
        return self.results / "sweeps" / name

    def talk(self, recording: Path | str) -> Path:
        """Return the folder of the head that says a recording, which two recordings of one name do not share.

        Raises:
            OSError: the recording cannot be read.
        """
        stem = re.sub(r"[^\w-]+", "_", Path(recording).stem)[:_LONGEST_STEM]
        return self.results / "talks" / f"{stem}-{sha256(recording)[:8]}"

    def head(self, recording: Path | str | None = None, method: str = DEFAULT_METHOD) -> Path:
        """Return the folder of a talking head: the run's, or the recording's; those of other methods lie in it.

        Args:
            recording: a recording of the user's, if it is not a sentence of the corpus.
            method: one of :data:`MODELS`.

        Raises:
            OSError: the recording cannot be read.
        """
        folder = self.talk(recording) if recording else self.results
        return folder if method == DEFAULT_METHOD else folder / method
