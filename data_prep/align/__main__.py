"""Find the phonemes of a recording and their times: `python -m data_prep.align RECORDING.wav --text "What is said."`

Prints one phoneme a line, with its start and end in seconds; an empty one is a pause. Without a text the sounds are
recognised, which is less reliable. espeak-ng turns the text into phonemes; without a text it is not needed.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import importlib.util
import sys
from pathlib import Path

from data_prep.align.said import TEXT_HELP, file_of, transcript_of
from otlib.commands import Parser, command
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError
from otlib.files import atomic_write, write_json
from otlib.own_files import check_replaceable, check_writable
from otlib.phonemes import BACK_ENDS, Phoneme, load_aligner
from otlib.speech.recording import SILENCE_DB, heard, read_recording


def default_back_end(text: str | None, voice: str = "en-us", model: str | None = None) -> str:
    """Return the name of the best aligner for recordings of people; the encoder's card says why.

    "pocketsphinx" for English with its text, if it is installed and no other aligner's model is named; else "frames".
    """
    fits = text is not None and voice.startswith("en") and model is None
    return "pocketsphinx" if fits and importlib.util.find_spec("pocketsphinx") else "frames"


def align(file: Path, text: str | None = None, back_end: str | None = None, model: str | None = None,
          voice: str = "en-us") -> tuple[Phoneme, ...]:
    """Return the phonemes of a recording.

    Args:
        file: any sound file.
        text: what is said, if known, or @FILE.
        back_end, model: see :func:`otlib.phonemes.aligner.load_aligner`; the default is :func:`default_back_end`'s.
        voice: accent in which espeak-ng pronounces the text.

    Raises:
        InputError: the recording cannot be read, is silent or cannot be aligned, or something needed is not installed.
    """
    recording = read_recording(file)
    if recording.is_silent:
        raise InputError(f"{file}: is silent (it never rises above {SILENCE_DB:g} dB); give a recording of speech")
    transcript = transcript_of(text, voice)
    back_end = back_end or default_back_end(text, voice, model)
    return load_aligner(back_end, model).phonemes(heard(recording), transcript, name=str(file))


def draw(file: Path, rows: dict[str, tuple[Phoneme, ...]], picture: Path) -> None:
    """Write a PNG of the waveform with the phonemes above it, one row for each aligner.

    Raises:
        InputError: the packages that draw are not installed.
    """
    try:
        from otlib.viz import phoneme_rows
    except ModuleNotFoundError as error:
        raise InputError(f"{picture}: pictures need `pip install otlib[notebook]`; leave the picture out") from error
    recording = read_recording(file)
    figure = phoneme_rows(recording.samples, recording.sample_rate, rows)
    with atomic_write(picture) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight", format="png", metadata={"Software": None})


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m data_prep.align", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, help="any sound file")
    parser.add_argument("--text", help=f"{TEXT_HELP} (without it the sounds are recognised)")
    parser.add_argument("--backend", choices=BACK_ENDS,
                        help="which aligner (default: pocketsphinx for English with its text, if installed, else frames)")
    parser.add_argument("--model", metavar="NAME", help="an encoder with phoneme heads, or for 'transformers' a CTC model")
    parser.add_argument("--voice", default="en-us", help="accent of the text, as espeak-ng names it (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the phonemes there, as the corpus stores them")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw waveform and phonemes")
    options = parser.parse_args(arguments)
    for output, signature in ((options.json, b"JSON"), (options.picture, b"\x89PNG")):
        if output:
            refuse_overlap(output, [path for path in (options.recording, file_of(options.text)) if path is not None])
            check_replaceable(output, signature)
            check_writable(output)
    back_end = options.backend or default_back_end(options.text, options.voice, options.model)
    phonemes = align(options.recording, options.text, back_end, options.model, options.voice)
    if options.json:
        write_json(options.json, [{"phoneme": symbol, "start": start, "end": end} for symbol, start, end in phonemes])
    if options.picture:
        draw(options.recording, {back_end: phonemes}, options.picture)
    if options.backend is None:
        print(f"aligned by {back_end}; --backend names another", file=sys.stderr)
    for symbol, start, end in phonemes:
        print(f"{start:8.3f} {end:8.3f}  {symbol}")
    return 0
