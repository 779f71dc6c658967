"""What the fuzzer tries: doors, the ways to change what goes in at a door, and one input of them by its number."""

import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

REFUSED, ACCEPTED, EITHER = "refused", "accepted", "either"
"""Expected verdicts. "either" is for damage that a decoder may mend or refuse; the rest of the verdict holds."""


@dataclass
class Trial:
    """One input, about to be handed in.

    Attributes:
        folder: the command's working folder; what it reads lies in ``folder / "in"``.
        arguments: of the command.
        random: of this input alone.
        raw: names with control characters, which must not be printed as they are.
        mine: paths that must be as they are afterwards, even among the outputs.
        disk: bytes to which a file may grow, as on a full disk.
    """

    folder: Path
    arguments: list[str]
    random: np.random.Generator
    raw: list[str] = field(default_factory=list)
    mine: list[str] = field(default_factory=list)
    disk: int | None = None

    def option(self, name: str, *values: str) -> None:
        """Give an option other values, or give it at all."""
        if name in self.arguments:
            at = self.arguments.index(name) + 1
            self.arguments[at : at + len(values)] = values
        else:
            self.arguments += [name, *values]


@dataclass(frozen=True)
class Way:
    """A way to change a sound input.

    Attributes:
        kind: for the table: "json", "no permission", "out", ...
        name: what is changed, and how.
        apply: changes the trial, its files or its arguments.
        words: of which a refusal must hold one: the file's name, or the option's; none: any sentence will do.
        verdict: that is expected.
    """

    kind: str
    name: str
    apply: Callable[[Trial], None]
    words: tuple[str, ...] = ()
    verdict: str = REFUSED


@dataclass(frozen=True)
class Door:
    """A command, or a function that reads a person's file.

    Attributes:
        name: of the door.
        run: hands the trial in and returns the exit status; it is called in a process of its own.
        ways: all ways, in a fixed order.
        bases: names of sound inputs, each copied to ``folder / "in" / <name>``.
        arguments: of a sound input.
        outputs: what an acceptance may make or change, relative to the trial's folder; "cache" is free to all.
        check: looks at what an acceptance has left and printed; raises AssertionError.
        many: whether a refusal may list several sentences, one a line.
        every: every how many rounds it has its turn, since its inputs take long.
    """

    name: str
    run: Callable[[Trial], int | None]
    ways: tuple[Way, ...]
    bases: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("out",)
    check: Callable[[Trial, str], None] = lambda trial, printed: None
    many: bool = False
    every: int = 1


def way_of(door: Door, seed: int, number: int) -> Way:
    """Return the way of an input: all ways come before one comes again."""
    order = np.random.default_rng([seed, zlib.crc32(door.name.encode())]).permutation(len(door.ways))
    return door.ways[order[number % len(door.ways)]]


def make_trial(door: Door, seed: int, number: int, bases: Path, folder: Path) -> Trial:
    """Write an input into a new folder.

    Args:
        door: where it goes in.
        seed, number: of the input.
        bases: folder of the sound inputs.
        folder: to make.
    """
    (folder / "in").mkdir(parents=True)
    for base in door.bases:
        shutil.copytree(bases / base, folder / "in" / base, symlinks=True)
    random = np.random.default_rng([seed, zlib.crc32(door.name.encode()), number])
    trial = Trial(folder, list(door.arguments), random)
    way_of(door, seed, number).apply(trial)
    return trial
