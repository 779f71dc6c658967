"""Say, at the end of `make demo`, what lies where; numbers come from what the run wrote."""

import argparse
import sys
from pathlib import Path

from notebooks.experiments.folders import DEFAULT_RUN, REFERENCE, ROOT, Folders
from otlib.errors import InputError
from otlib.files import read_json


def other_head(run: Path, reference: Path) -> bool:
    """Say whether two runs' records, run.json, tell of heads with other faces; not where one does not tell."""
    heads = [read_json(file)["data"]["provenance"].get("head") if file.is_file() else None for file in (run, reference)]
    return None not in heads and heads[0] != heads[1]


def main(arguments: list[str] | None = None) -> int:
    """Print where to look; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.driver.demo_summary", description=__doc__)
    parser.add_argument("--profile", default=DEFAULT_RUN)
    parser.add_argument("--run", default="")
    parser.add_argument("--audio", type=Path)
    options = parser.parse_args(arguments)
    try:
        folders = Folders(options.profile, options.run, ROOT)
        results = folders.results.relative_to(ROOT)
        headline = read_json(folders.results / "metrics.json")["headline"]
        head = folders.talk(options.audio).relative_to(ROOT) if options.audio else results
        other = other_head(folders.results / "run.json", REFERENCE / "run.json")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"""
OT-Talk is trained. On speakers and sentences it never saw, its lips are {headline['below_still_face']:.0%} closer
than the better still face, and {headline['below_loudness_and_pitch']:.0%} closer than the same model fed loudness
and pitch alone.

  the talking head   {head / 'talking_head.mp4'}   (frames: {head / 'talking_head.png'})
  for Blender, three.js, game engines   {head / 'talking_head.glb'}
  numbers            {results / 'metrics.json'}, what they follow from: {results / 'run.json'}
  pictures           {results}/*.png
  beside README's    python -m notebooks.driver.compare {folders.name} reference
  every step, with explanations   make lab   (as it ran here: {results / 'notebooks'})
""")
    if other:
        print("This run's head has other faces than the reference's, so its numbers cannot be compared with README's.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
