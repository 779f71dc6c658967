"""Say, at the end of `make demo`, what lies where; numbers come from what the run wrote."""

import argparse
import sys
from pathlib import Path

from otlib.files import read_json

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Print where to look; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="fast")
    parser.add_argument("--audio", type=Path)
    options = parser.parse_args()
    results = Path("results") / options.profile
    headline = read_json(ROOT / results / "metrics.json")["headline"]
    head = Path("results") / "user" / options.audio.stem if options.audio else results
    print(f"""
OT-Talk is trained. On speakers and sentences it never saw, its lips are {headline['below_still_face']:.0%} closer
than the better still face, and {headline['below_loudness_and_pitch']:.0%} closer than the same model fed loudness
and pitch alone.

  the talking head   {head / 'talking_head.mp4'}   (frames: {head / 'talking_head.png'})
  for Blender, three.js, game engines   {head / 'talking_head.glb'}
  numbers            {results / 'metrics.json'}, what they follow from: {results / 'run.json'}
  pictures           {results}/*.png
  every step, with explanations   make lab   (as it ran here: {results / 'notebooks'})
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
