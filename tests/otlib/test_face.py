"""The names that `import otlib` offers, and what it costs."""

import importlib
import subprocess
import sys

import pytest

import otlib

MOST_SECONDS = 0.1  # that `import otlib` may add to Python's start; one import of torch takes over a second


@pytest.mark.parametrize("name", otlib.FACE)
def test_the_face_offers_what_lies_in_the_module(name):
    assert getattr(otlib, name) is getattr(importlib.import_module(otlib.FACE[name]), name)
    assert name in dir(otlib)


def test_names_that_are_not_there_and_modules():
    with pytest.raises(AttributeError, match="module 'otlib' has no attribute 'nothing'"):
        _ = otlib.nothing
    with pytest.raises(ImportError, match="nothing"):
        exec("from otlib import nothing")
    from otlib import losses, train

    assert callable(losses.losses) and train.__name__ == "otlib.train"


def test_importing_it_is_quick_and_loads_no_network():
    program = ("import sys, time; start = time.process_time(); import otlib; spent = time.process_time() - start; "
               "print(spent, sorted({'torch', 'transformers', 'torchaudio', 'numpy'} & set(sys.modules)))")
    subprocess.run([sys.executable, "-c", program], check=True)  # which compiles what is not compiled yet
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    seconds, loaded = answer.split(" ", 1)
    assert float(seconds) < MOST_SECONDS and loaded.strip() == "[]"
