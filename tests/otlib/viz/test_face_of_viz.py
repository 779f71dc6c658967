"""The names that `otlib.viz` offers, and that it imports what they need only when they are used."""

import importlib
import subprocess
import sys

import pytest

from otlib import viz


@pytest.mark.parametrize("name", viz.FACE)
def test_the_face_offers_what_lies_in_the_module(name):
    assert getattr(viz, name) is getattr(importlib.import_module(viz.FACE[name]), name)
    assert name in dir(viz)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'otlib.viz' has no attribute 'nothing'"):
        _ = viz.nothing


def test_the_looks_of_parts_need_no_library_of_figures():
    program = ("import sys, otlib.viz.materials, otlib.viz.normals, otlib.viz.palette; "
               "print(sorted({'matplotlib', 'IPython', 'PIL', 'torch', 'numba', 'sklearn'} & set(sys.modules)))")
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
