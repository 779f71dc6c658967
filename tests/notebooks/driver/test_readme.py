"""The pages say what results/reference holds, and what they name is there."""

import re

import pytest

from notebooks.driver import readme
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_numbers_come_from_results():
    for page in readme.PAGES:
        text = page.read_text(encoding="utf-8")
        assert readme.filled(text) == text, "run python -m notebooks.driver.readme"


def test_no_block_shows_a_persons_own_run(monkeypatch):
    """What is filled in is read from the reference and from nowhere else."""
    read = []
    monkeypatch.setattr(readme, "read_json", lambda file: read.append(file) or {})
    blocks = {name: (lambda found: "", file) for name, (_, file) in readme.BLOCKS.items()}
    monkeypatch.setattr(readme, "BLOCKS", blocks)
    readme.filled("".join(f"<!-- {name}:start --><!-- {name}:end -->" for name in blocks))
    assert len(read) == len(blocks) > 0 and all(file.is_relative_to(ROOT / "results" / "reference") for file in read)


def test_both_commands_stand_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:12])
    assert "\nmake demo " in first_screen
    assert "\nmake test " in first_screen


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(page):
    links = set(re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")))
    assert links and [link for link in links if not (page.parent / link).exists()] == []


def test_every_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_what_is_missed_is_said():
    aim = {"interval": [0.52, 0.5, 0.55], "aim": 0.5, "below": True, "met": False}
    full = {"seeds": [0, 1], "speakers": 12, "aims": {"lips": aim, "closures": aim | {"below": False, "met": True}}}
    said = readme.ablation({"seeds": [0, 1, 2], "speakers": 6, "full_corpus": full, "verdicts": {
        "SWD helps": ["mean lip distance"], "SWD hurts": [], "SWD cannot be told from chance": ["MTM"]}})
    assert "Over 3 seeds and 6 unseen speakers" in said and "12 unseen speakers, 2 seeds" in said
    assert "- SWD helps on: mean lip distance." in said and "hurts" not in said
    assert "- lips: 0.52 [0.5, 0.55], aim at most 0.5: **missed**." in said and "aim at least 0.5: met." in said
    none = {"seeds": [0], "speakers": 6, "verdicts": {}, "full_corpus": {"aims": {}}}
    assert "full corpus" not in readme.ablation(none)


def test_a_promise_that_is_not_kept_is_said():
    goals = [{"claim": "growth (MB)", "measured": 31.0, "wanted": "at most 30", "reached": False},
             {"claim": "share", "measured": 1.0, "wanted": "at least 0.8", "reached": True}]
    said = readme.claims({"parts": {"long": {"goals": goals[:1]}, "closures": {"goals": goals[1:]}}})
    assert said.splitlines() == [
        "- growth (MB): 31 (wanted: at most 30; **not reached**).", "- share: 1 (wanted: at least 0.8)."]


def test_closures_on_people_stand_beside_chance():
    score = {"mean": 0.5, "interval": [0.25, 0.75], "recordings": 20}
    rows = {"OT-Talk": dict.fromkeys(readme.PEOPLE, score), "OT-Talk, on another recording": dict.fromkeys(
        readme.PEOPLE, score | {"mean": 0.125, "interval": None})}
    header, line, own, chance = readme.people({"parts": {"closures": {"rows": rows}}}).splitlines()
    assert header.count("|") == line.count("|") == own.count("|") == len(readme.PEOPLE) + 2
    assert own.startswith("| OT-Talk | 0.50 [0.25, 0.75] |") and chance.endswith("| 0.12 |")
