"""Say, at the end of `make demo`, what lies where; numbers come from what the run wrote."""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

from pathlib import Path

from notebooks.experiments.folders import DEFAULT_RUN, REFERENCE, ROOT, Folders
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import read_json, read_object


def other_head(run: Path, reference: Path) -> bool:
    """Say whether two runs' records, run.json, tell of heads with other faces; not where one does not tell."""
    heads = [read_json(file)["data"]["provenance"].get("head") if file.is_file() else None for file in (run, reference)]
    return None not in heads and heads[0] != heads[1]


@command
def main(arguments: list[str] | None = None) -> int:
    """Print where to look; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.demo_summary", description=__doc__)
    parser.add_argument("--profile", default=DEFAULT_RUN)
    parser.add_argument("--run", default="")
    parser.add_argument("--audio", type=Path)
    options = parser.parse_args(arguments)
    folders = Folders(options.profile, options.run, ROOT)
    results = folders.results.relative_to(ROOT)
    head = folders.talk(options.audio).relative_to(ROOT) if options.audio else results
    metrics = read_object(folders.results / "metrics.json")
    try:
        headline = metrics["headline"]
        still_face, prosody = (f"{headline[f'below_{name}']:.0%}" for name in ("still_face", "loudness_and_pitch"))
        other = other_head(folders.results / "run.json", REFERENCE / "run.json")
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folders.results}: metrics.json or run.json is not as a run leaves it "
                         f"({type(error).__name__}: {error}); run make demo again") from error
    film = head / "talking_head.mp4"
    film = film if (ROOT / film).is_file() else "no film, as you wished"
    print(f"""
OT-Talk is trained. On speakers and sentences it never saw, its lips are {still_face} closer
than the better still face, and {prosody} closer than the same model fed loudness
and pitch alone.

  the talking head   {film}   (frames: {head / 'talking_head.png'})
  for Blender, three.js, game engines   {head / 'talking_head.glb'}
  numbers            {results / 'metrics.json'}, what they follow from: {results / 'run.json'}
  pictures           {results}/*.png
  beside README's    python -m notebooks.driver.compare {folders.name} reference
  every step, with explanations   make lab   (as it ran here: {results / 'notebooks'})
""")
    if other:
        print("This run's head has other faces than the reference's, so its numbers cannot be compared with README's.")
    return 0
