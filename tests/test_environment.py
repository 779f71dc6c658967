"""environment.yml is the conda face of pyproject.toml: same packages, same bounds, same Python."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
PIP = [line for section in ENVIRONMENT["dependencies"] if isinstance(section, dict) for line in section["pip"]]
CONDA_NAMES = {"pytorch": "torch", "pot": "pot", "python-soundfile": "soundfile", "pysoundfile": "soundfile"}


def requirements():
    """Every requirement of pyproject.toml by its name; extras that gather other extras are left out."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    found = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    return {name: requirement for name, requirement in found.items() if name != PROJECT["name"]}


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def parsed(line):
    """Name and bounds of a conda line, read as conda itself reads it."""
    spec = MatchSpec(line)
    name = getattr(spec.name, "normalized", None) or str(spec.name)
    return CONDA_NAMES.get(name, name), SpecifierSet(str(spec.version or ""))


def test_the_check_refuses_what_conda_would():
    with pytest.raises(InvalidMatchSpecError):
        MatchSpec("numpy =>2")


@pytest.mark.parametrize("line", CONDA)
def test_conda_has_the_bounds_of_pyproject(line):
    name, bounds = parsed(line)
    if name == "python":
        assert bounds == SpecifierSet(PROJECT["requires-python"])
    elif name != "pip":  # the installer itself, which pyproject.toml does not name
        assert bounds == requirements()[canonicalize_name(name)].specifier


def test_conda_brings_python_and_pip_from_a_channel():
    assert {"python", "pip"} <= {parsed(line)[0] for line in CONDA}
    assert ENVIRONMENT["name"] == PROJECT["name"] and ENVIRONMENT["channels"] == ["conda-forge"]


def test_pip_installs_the_project_with_everything_and_the_exact_constraints():
    assert PIP == ["-c constraints.txt", "-e .[all]"]


def test_all_is_every_other_extra():
    (line,) = PROJECT["optional-dependencies"]["all"]
    gathered = Requirement(line)
    assert gathered.name == PROJECT["name"]
    assert gathered.extras == PROJECT["optional-dependencies"].keys() - {"all"}


@pytest.mark.parametrize("pin", constraints(), ids=str)
def test_every_pin_is_exact_and_within_the_bounds_of_pyproject(pin):
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    assert requirements()[canonicalize_name(pin.name)].specifier.contains(specifier.version)


def test_the_pins_are_installed_here():
    """CPU builds carry a local version, such as +cpu, which an exact pin allows."""
    for pin in constraints():
        assert pin.specifier.contains(version(pin.name)), pin
