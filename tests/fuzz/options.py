"""Ways to spoil a command line: numbers, names, and folders to write to."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.fuzz.case import ACCEPTED, REFUSED, Trial, Way
from tests.fuzz.spoiled import DIGITS, put

_ANY = {
    "nan": "nan",
    "inf": "inf",
    "-inf": "-inf",
    "1e999": "1e999",
    "nothing": "",
    "a word": "abc",
    "another number": "1 2",
    "5,000 digits": DIGITS,
    "bytes that are no text": "\udcff",
    "-1": "-1",
}
NUMBER: Mapping[str, str] = _ANY | {"0": "0"}
COUNT: Mapping[str, str] = NUMBER | {"a fraction": "1.5", "hexadecimal": "0x10", "10^30": "1" + "0" * 30, "2^63": str(2**63)}
SEED: Mapping[str, str] = {name: value for name, value in COUNT.items() if name != "0"}
NOT_NEGATIVE: Mapping[str, str] = {name: value for name, value in NUMBER.items() if name != "0"}

EVIL: Mapping[str, str] = {  # names of files that a person may have
    "blank": "a b",
    "leading blank": " a",
    "quotes": "a\"b'c",
    "backtick": "a`touch pwned`b",
    "dollar": "a$(touch pwned)$HOME",
    "semicolon": "a;touch pwned;",
    "backslash": "a\\b",
    "percent": "100%s{0}",
    "accents": "éü字😀",
    "line break": "a\nb",
    "escape": "a\x1b[31mb",
    "not UTF-8": "a\udcffb",
    "dash": "-a",
    "dots": "...",
    "brackets": "[a](b)<i>",
    "long": "x" * 200,
    "star": "a*?b",
    "bell and backspace": "a\x07\x08b",
    "right to left": "a\u202eb",
}


def numbers(options: Mapping[str, Mapping[str, str]], words: Iterable[str] = ()) -> list[Way]:
    """Return a way for each impossible value of each option; a refusal names the option, or what it sets."""

    def apply(option: str, value: str) -> Callable[[Trial], None]:
        return lambda trial: trial.option(option, value)

    return [
        Way("number", f"{option} {name}", apply(option, value), (option, option.strip("-").replace("-", "_"), *words))
        for option, values in options.items()
        for name, value in values.items()
    ]


def texts(option: str, values: Iterable[str], words: Iterable[str] = (), verdict: str = REFUSED) -> list[Way]:
    """Return a way for each text that an option is given."""
    return [
        Way(
            "text", f"{option} {value[:40]!r}", lambda trial, value=value: trial.option(option, value), tuple(words), verdict
        )
        for value in values
    ]


def evil_names(file: str, kept: str = "", *, unicode: bool = False) -> list[Way]:
    """Return a way for each odd name that a file or folder may have; each is as good as another.

    Args:
        file: relative to the trial's folder, as it stands among the arguments.
        kept: the end of the name that stays, such as ".wav".
        unicode: whether a name that is not Unicode is refused, since what must hold it or open it cannot.
    """

    def apply(name: str) -> Callable[[Trial], None]:
        def change(trial: Trial) -> None:
            new = str(Path(file).with_name(name + kept))
            os.rename(trial.folder / file, trial.folder / new)
            trial.arguments = [new if argument == file else argument for argument in trial.arguments]
            trial.raw += [name] if not name.isprintable() and "\udcff" not in name else []

        return change

    return [
        Way(
            "name",
            f"{file} is called {name}",
            apply(text),
            *((("Unicode",), REFUSED) if unicode and "\udcff" in text else ((), ACCEPTED)),
        )
        for name, text in EVIL.items()
    ]


def evil_outputs(option: str) -> list[Way]:
    """Return a way for each odd name of an output; the result lies in the folder "out"."""

    def apply(name: str) -> Callable[[Trial], None]:
        def change(trial: Trial) -> None:
            (trial.folder / "out").mkdir()
            trial.option(option, f"out/{name}")
            trial.raw += [name] if not name.isprintable() and "\udcff" not in name else []

        return change

    return [
        Way("name", f"{option} is called {name}", apply(text), (), ACCEPTED) for name, text in EVIL.items() if name != "long"
    ]


def outputs(option: str, read: str, *, file: bool = False) -> list[Way]:
    """Return the ways in which an output cannot be where it is wanted: all are refused, and nothing is touched.

    Args:
        option: that names it; it is "out" in a sound input.
        read: a folder that the command reads.
        file: whether the output is one file.
    """

    def stranger(trial: Trial) -> None:
        if option not in trial.arguments:
            trial.option(option, "out")
        (trial.folder / "out").mkdir()
        (trial.folder / "out/photo.jpg").write_bytes(b"\xff\xd8 mine")

    def app(trial: Trial) -> None:
        stranger(trial)
        (trial.folder / "out/manifest.json").write_text('{"name": "my web app"}')

    def link(trial: Trial) -> None:
        (trial.folder / "link").symlink_to(read)
        trial.option(option, "link")

    def read_only(trial: Trial) -> None:
        (trial.folder / "locked").mkdir(mode=0o555)
        trial.option(option, "locked/out")

    def full(trial: Trial) -> None:
        trial.disk = 10
        if option not in trial.arguments:
            trial.option(option, "out")

    def below_a_file(trial: Trial) -> None:
        put(trial.folder / "mine.txt", "keep me")
        trial.option(option, "mine.txt/out")

    def at(place: str) -> Callable[[Trial], None]:
        return lambda trial: trial.option(option, place)

    everywhere = {
        "below a file": below_a_file,
        "in a locked folder": read_only,
        "of a long name": at("n" * 300),
        "below /dev/null": at("/dev/null/out"),
        "below /proc": at("/proc/out/new"),
        "on a full disk": full,
    }
    folders = {
        "on a stranger's folder": stranger,
        "on a web app": app,
        "on the input": at(read),
        "above the input": at("in"),
        "in the input": at(f"{read}/new"),
        "on a link to the input": link,
        "here": at("."),
        "nowhere": at(""),
        "on a file": lambda trial: put(trial.folder / "out", "mine"),
        "on a pipe": lambda trial: os.mkfifo(trial.folder / "out"),
    }
    chosen = everywhere | ({"on a folder": stranger} if file else folders)
    return [Way("out", f"{option} {name}", apply, (), REFUSED) for name, apply in chosen.items()]
