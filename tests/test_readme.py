"""The README says what results/ holds, and what it names is there."""

import importlib.util
import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme_module():
    """Load notebooks/readme.py, which is a script and no package's module."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "notebooks" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_come_from_results():
    assert readme_module().filled(README) == README, "run python notebooks/readme.py"


def test_both_commands_stand_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:12])
    assert "\nmake demo " in first_screen
    assert "\nmake test " in first_screen


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_every_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets
