"""The import guard: silence beside any build of torch."""

import subprocess
import sys
from importlib.abc import Loader
from types import ModuleType

import pytest

from otlib.speech import torchaudio_guard

pytestmark = pytest.mark.slow

# the pictures' packages are an extra of their own, triton comes with torch's builds for CUDA; otlib never needs espeak-ng
_IMPORT_EVERYTHING = """
import importlib, importlib.util, pkgutil, sys
sys.modules["espeakng_loader"] = sys.modules["data_prep"] = None  # importing either would fail
import otlib, torchaudio, transformers
for module in pkgutil.walk_packages(otlib.__path__, "otlib."):
    needs_triton = module.name == "otlib.measures.compiled.sliced_triton"
    if not module.name.startswith(("otlib.viz", "otlib.inspector")) and (
            not needs_triton or importlib.util.find_spec("triton")):
        importlib.import_module(module.name)
"""


def test_everything_imports_silently_without_espeak_and_data_preparation():
    result = subprocess.run([sys.executable, "-W", "error", "-c", _IMPORT_EVERYTHING], capture_output=True, text=True,
                            timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def guarded_module(load, check):
    """Run a stand-in for torchaudio's loading module through the guard."""
    class Inner(Loader):
        def exec_module(self, module):
            module._load_lib, module._check_cuda_version = load, check

    module = ModuleType("stand_in")
    torchaudio_guard._Loader(Inner()).exec_module(module)
    return module


def failing(error):
    def fail(*_):
        raise error

    return fail


def test_failures_to_load_pass():
    module = guarded_module(failing(OSError("libc10_cuda.so is not there")), failing(RuntimeError("CUDA 12 and 13")))
    assert module._load_lib("libtorchaudio") is False and module._check_cuda_version() is None


def test_what_loads_is_left_alone():
    module = guarded_module(lambda library: library == "libtorchaudio", lambda: 13000)
    assert module._load_lib("libtorchaudio") is True and module._check_cuda_version() == 13000


def test_other_errors_pass_through():
    module = guarded_module(failing(KeyError("a bug")), failing(KeyError("a bug")))
    with pytest.raises(KeyError):
        module._load_lib("libtorchaudio")
    with pytest.raises(KeyError):
        module._check_cuda_version()


def test_installing_twice_leaves_one_finder():
    torchaudio_guard.install()
    assert sum(isinstance(finder, torchaudio_guard._Finder) for finder in sys.meta_path) == 1
    assert torchaudio_guard._Finder().find_spec("torchaudio.functional") is None
