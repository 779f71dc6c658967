"""Measure an encoder with its phoneme heads, and fill its model card: `python -m data_prep.encoder.model_card`

Three parts, all on voices and words that nothing was trained on: a linear probe for phonemes (beside MFCC and random
weights), forced alignment against espeak-ng's own times, and, for recordings of people that are named with their texts,
how many of the closures that pocketsphinx finds are found by our own aligner:

    python -m data_prep.encoder.model_card --recording speech.wav "What is said in it."

The numbers go into quality.json beside the encoder; the card, README.md there, reads them, and the recipe from
pretraining.json, between its marks.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import re
from pathlib import Path
from typing import Any

import torch

from data_prep.align.measure import measure_boundaries, measure_closures, measure_true_closures
from data_prep.corpus.labelled_speech import corpus_speech
from data_prep.encoder.probe import Amount, measure_probe, speeches_of
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import atomic_write, read_json, read_object, sha256, write_json
from otlib.own_files import check_writable
from otlib.phonemes import load_aligner
from otlib.phonemes.frame_classifier import FILE
from otlib.settings import SENTENCES, number_of
from otlib.speech.encoder import BUNDLED, encoder_folder, load_encoder
from otlib.speech.recording import read_recording

QUALITY, STORY, CARD = "quality.json", "pretraining.json", "README.md"
BLOCKS = ("recipe", "quality")
_OURS, _INDEPENDENT = ("frames", "ctc"), "pocketsphinx"


def measure(name: str, amount: Amount, recordings: list[tuple[str, str]]) -> dict[str, Any]:
    """Return every figure of the card; of an encoder without phoneme heads only the probe's.

    Args:
        name: of the encoder.
        amount: of synthetic speech; alignment is measured on its test part.
        recordings: paths and texts of real speech; none leaves that part out.

    Raises:
        InputError: no such encoder, heads that are another one's, espeak-ng or pocketsphinx is not installed, or a
            recording cannot be read or aligned.
    """
    encoder = load_encoder(name)
    if not (encoder_folder(name) / FILE).is_file():  # no phoneme heads, so that nothing can be aligned
        return {"probe": measure_probe(encoder, speeches_of(amount))}
    aligners = {back_end: load_aligner(back_end, name) for back_end in _OURS}
    independent = load_aligner(_INDEPENDENT)
    test = corpus_speech("test", *amount.test)
    figures = {
        "probe": measure_probe(encoder, speeches_of(amount)),
        "boundaries": {back_end: measure_boundaries(aligner, test) for back_end, aligner in aligners.items()},
        "true_closures": {back_end: measure_true_closures(aligner, test)
                          for back_end, aligner in {**aligners, _INDEPENDENT: independent}.items()}}
    if recordings:
        figures["real_speech"] = {back_end: measure_closures(aligner, independent, recordings)
                                  for back_end, aligner in aligners.items()}
    return figures


def summary(figures: dict[str, Any]) -> str:
    """Return what the card says, in Markdown."""
    probe = figures["probe"]
    layers = [f"| layer {layer} | {share:.1%} | {twin:.1%} |" for layer, (share, twin) in
              enumerate(zip(probe["encoder_layers"], probe["random_layers"], strict=True))]
    lines = [
        f"A linear probe names the sound of {probe['encoder']:.1%} of frames (20 ms each, pauses left out, "
        f"{probe['sounds']} sounds) of {probe['unseen_speakers']} unseen voices, in {probe['unseen_words']} words that "
        f"nothing was trained on; MFCC with their best context ({probe['mfcc']['context_frames']} frames to each side) give "
        f"{probe['mfcc']['accuracy']:.1%}, the same network with random weights {probe['random']:.1%}. Fitted on "
        f"{probe['train_frames']:,} frames, judged on {probe['test_frames']:,}. By layer, 0 being the transformer's input:",
        "", "| probe on | this encoder | random weights |", "|---|---|---|", *layers,
        f"| all layers, weighed | {probe['encoder']:.1%} | {probe['random']:.1%} |"]
    if "boundaries" in figures:
        boundaries, true = figures["boundaries"], figures["true_closures"]
        frames, ctc, sphinx = (true[back_end] for back_end in (*_OURS, _INDEPENDENT))
        lines += ["", f"Forced alignment of unseen sentences with their text: {boundaries['frames']['within_40_ms']:.1%} of "
                  f"{boundaries['frames']['boundaries']:,} phoneme boundaries lie within 40 ms of espeak-ng's own by the "
                  f"frame classifier (median {boundaries['frames']['median_ms']:.0f} ms), "
                  f"{boundaries['ctc']['within_40_ms']:.1%} by CTC. Of {frames['closures']:,} p, b and m the frame "
                  f"classifier finds {frames['within_50_ms']:.1%} within 50 ms, CTC {ctc['within_50_ms']:.1%}, and "
                  f"pocketsphinx, which knows people and not synthetic voices, {sphinx['within_50_ms']:.1%} (it refuses "
                  f"{sphinx['refused']} of {sphinx['sentences']} sentences)."]
    if "people" in figures:
        lines += ["", people(figures["people"])]
    if "real_speech" in figures:
        real, real_ctc = (figures["real_speech"][back_end] for back_end in _OURS)
        lines += ["", f"Real speech, {real['recordings']} short recordings: of {real['closures']} closures that "
                  f"pocketsphinx finds, the frame classifier finds {real['found_with_text']} within 50 ms when it is given "
                  f"the text and {real['found_without_text']} when it is not (CTC: {real_ctc['found_with_text']} and "
                  f"{real_ctc['found_without_text']})."]
    return "\n".join(lines)


def recipe(story: dict[str, Any]) -> str:
    """Return how the encoder was made, in Markdown, from what its pre-training has written down."""
    settings = story["recipe"]
    if "round1" not in story["log"]:
        return _continued(story)
    ends = {name: sum(row["loss"] for row in rows[-4:]) / len(rows[-4:]) for name, rows in story["log"].items()}
    first, second, third = settings["steps"]
    mfcc_units, inner_units = settings["units"]
    return "\n".join([
        f"Masked prediction of hidden units in three rounds, on {settings['hours']:g} hours of speech, seed "
        f"{settings['seed']}: {first:,} steps on {mfcc_units} k-means units of MFCC, {second:,} on {inner_units} units of "
        f"layer {settings['inner_layer']} of the first round's encoder, {third:,} on phonemes; {settings['batch']} clips of "
        f"{settings['crop_frames'] / 50:.0f} s a step, AdamW, peak rate {settings['learning_rate']:g}. Loss at the end of "
        f"each, hidden plus seen frames: {', '.join(f'{loss:.2f}' for loss in ends.values())}. `{STORY}` holds every "
        "setting and the learning curves.", "", "```",
        f"python -m data_prep.encoder.pretrain --out data/hubert-small --hours {settings['hours']:g} "
        f"--steps {first} {second} {third} --seed {settings['seed']}", "```"])


def _continued(story: dict[str, Any]) -> str:
    """Return how an encoder was made from another one, by the phoneme round alone."""
    settings, log = story["recipe"], story["log"]["round3"]
    heard = ", ".join(f"{kind} {minutes:g} minutes ({share:.0%} of the crops)" for (kind, minutes), share in
                      zip(story["speech_minutes"].items(), settings["shares"], strict=False))
    teacher = ", a teacher's features besides" if settings["teacher"] else ""
    return (f"The phoneme round alone, from the weights whose SHA-256 begins with {story['start_sha256'][:12]}: "
            f"{settings['steps'][2]:,} steps on phonemes{teacher}; {heard}; {settings['batch']} clips of "
            f"{settings['crop_frames'] / 50:.0f} s a step, AdamW, peak rate {settings['learning_rate']:g}, the first "
            f"{settings['frozen']} convolutions kept, seed {settings['seed']}. Loss at the end, hidden plus seen frames "
            f"plus distance: {sum(row['loss'] for row in log[-4:]) / len(log[-4:]):.2f}. `{STORY}` holds every setting "
            "and the learning curve.")


def people(figures: dict[str, dict[str, Any]]) -> str:
    """Return what :mod:`data_prep.encoder.people_measure` found, as a table in Markdown."""
    first = next(iter(figures.values()))
    lines = [f"People, {first['voices']} voices that nothing was trained on, {first['frames']:,} frames (pauses left out); "
             "detector and probe are fitted on flite's voices, layers chosen there; in brackets 95 % when voices are drawn "
             f"anew. Guessing: AUC 0.50, {first['sounds']['guessing']:.1%} of the frames.", "",
             "| features | p, b, m: AUC | found at 5 % false | frames named right, 34 sounds |", "|---|---|---|---|"]
    for name, found in figures.items():
        closures, sounds = found["closures"], found["sounds"]
        lines.append(f"| {name} | {closures['auc']:.3f} ({closures['interval'][0]:.3f} to {closures['interval'][1]:.3f}) | "
                     f"{closures['found_at_5_percent_false']:.2f} | {sounds['share']:.1%} ({sounds['interval'][0]:.1%} to "
                     f"{sounds['interval'][1]:.1%}) |")
    return "\n".join(lines)


def filled(card: str, figures: dict[str, Any], story: dict[str, Any]) -> str:
    """Return the card's text with recipe and figures between their marks.

    Raises:
        ValueError: it has no marks.
    """
    for block, content in zip(BLOCKS, (recipe(story), summary(figures)), strict=True):
        start, end = f"<!-- {block}:start -->", f"<!-- {block}:end -->"
        if start not in card or end not in card:
            raise ValueError(f"the card has no place for its {block}, {start} to {end}")
        card = re.sub(f"(?s){start}.*?{end}", lambda _, text=f"{start}\n{content}\n{end}": text, card)
    return card


@command
def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and fill the card; return the exit status."""
    default = Amount()
    parser = Parser(prog="python -m data_prep.encoder.model_card", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default=BUNDLED, metavar="NAME", help="a folder, or 'bundled' (%(default)s)")
    parser.add_argument("--sentences", type=number_of(int, SENTENCES), default=default.train[1],
                        help="of each speaker (%(default)s)")
    parser.add_argument("--recording", nargs=2, action="append", default=[], metavar=("FILE", "TEXT"),
                        help="real speech and what is said in it; may be given several times")
    parser.add_argument("--people", type=Path, metavar="FILE", help="what data_prep.encoder.people_measure has written")
    parser.add_argument("--card-only", action="store_true", help="measure nothing: fill the card from quality.json again")
    options = parser.parse_args(arguments)
    folder = encoder_folder(options.encoder)
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    amount = Amount(*((speakers, options.sentences) for speakers, _ in (default.train, default.val, default.test)))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give that of an encoder")
    if not options.card_only:
        for file, _ in options.recording:
            read_recording(file)  # refused now, not after minutes of measuring
        check_writable(folder / QUALITY)
        figures = measure(options.encoder, amount, [tuple(pair) for pair in options.recording])
        if options.people:
            figures["people"] = read_object(options.people)
        write_json(folder / QUALITY, {**figures, "sentences": options.sentences,
                                      "weights_sha256": sha256(folder / "model.safetensors")})
    if (folder / CARD).is_file():
        text = filled((folder / CARD).read_text(encoding="utf-8"), read_json(folder / QUALITY),
                      read_json(folder / STORY))
        with atomic_write(folder / CARD) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return 0
