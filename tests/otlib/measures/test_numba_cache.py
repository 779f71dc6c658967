"""Numba's cache on disk: compiled once, and made anew where a full disk or a kill has cut it off."""

import importlib.util

import pytest
from numba.core.dispatcher import Dispatcher

from otlib.measures.compiled import matching_numba, sliced_numba
from otlib.measures.compiled.numba_cache import RemadeCache

SOURCE = """
from otlib.measures.compiled.numba_cache import compiled

@compiled()
def doubled(number):
    return 2 * number
"""


@pytest.fixture
def called(tmp_path, monkeypatch):
    """A function that imports a compiled one anew and calls it; how often the cache was hit."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "doubling.py"
    file.write_text(SOURCE)

    def call():
        specification = importlib.util.spec_from_file_location("doubling", file)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        assert module.doubled(21) == 42
        return sum(module.doubled.stats.cache_hits.values())

    return call


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("left", ["nothing", "half", "noise"])
def test_a_damaged_cache_is_made_anew(ending, left, called, tmp_path):
    assert called() == 0 and called() == 1
    (file,) = (tmp_path / "cache").rglob(f"*{ending}")
    whole = file.read_bytes()
    file.write_bytes({"nothing": b"", "half": whole[:len(whole) // 2], "noise": bytes(range(256))}[left])
    assert called() == 0
    assert called() == 1


def test_everything_compiled_has_such_a_cache():
    functions = [value for module in (matching_numba, sliced_numba) for value in vars(module).values()
                 if isinstance(value, Dispatcher)]
    assert len(functions) > 15 and all(type(function._cache) is RemadeCache for function in functions)
