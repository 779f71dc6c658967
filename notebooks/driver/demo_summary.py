"""Say, at the end of `make demo`, what lies where; numbers come from what the run wrote."""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

from pathlib import Path

from notebooks.experiments.folders import DEFAULT_METHOD, DEFAULT_RUN, MODELS, REFERENCE, ROOT, Folders
from notebooks.experiments.record_forms import record_of
from otlib.commands import Parser, command


def other_head(run: Path, reference: Path) -> bool:
    """Say whether the records of two runs, folders, tell of heads with other faces; not where one does not tell."""
    heads = [record_of(folder, "run.json", "data")["data"].get("provenance", {}).get("head")
             if (folder / "run.json").is_file() else None for folder in (run, reference)]
    return None not in heads and heads[0] != heads[1]


def nearness(below: float) -> str:
    """Return in words by which share an error is below another; a short training may leave it above."""
    return f"{abs(below):.0%} {'farther' if below < 0 else 'closer'}"


@command
def main(arguments: list[str] | None = None) -> int:
    """Print where to look; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.demo_summary", description=__doc__)
    parser.add_argument("--profile", default=DEFAULT_RUN)
    parser.add_argument("--run", default="")
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--method", choices=MODELS, default=DEFAULT_METHOD)
    options = parser.parse_args(arguments)
    folders = Folders(options.profile, options.run, ROOT)
    results = folders.results.relative_to(ROOT)
    head = folders.head(options.audio, options.method).relative_to(ROOT)
    headline = record_of(folders.results, "metrics.json", "headline")["headline"]
    still_face, prosody = (nearness(headline[f"below_{name}"]) for name in ("still_face", "loudness_and_pitch"))
    other = other_head(folders.results, REFERENCE)
    film = head / "talking_head.mp4"
    film = film if (ROOT / film).is_file() else "no film, as you wished"
    print(f"""
OT-Talk is trained. On speakers and sentences it never saw, its lips are {still_face}
than the better still face, and {prosody} than the same model fed loudness
and pitch alone.

  the talking head   {film}   (frames: {head / 'talking_head.png'})
  for Blender, three.js, game engines   {head / 'talking_head.glb'}
  numbers            {results / 'metrics.json'}, what they follow from: {results / 'run.json'}
  pictures           {results}/*.png
  beside README's    python -m notebooks.driver.compare {folders.name} reference
  every step, with explanations   make lab   (as it ran here: {results / 'notebooks'})
""")
    if options.method != DEFAULT_METHOD:
        model = results / "models" / MODELS[options.method]
        print(f"The talking head is that of {options.method}, by the model {model};\n"
              f"its key frames are marked in {head / 'talking_head_lip_gap.png'}.\n")
    if other:
        print("This run's head has other faces than the reference's, so its numbers cannot be compared with README's.")
    return 0
