"""What a sweep found: means by hand, pairing by seed and speaker, and results that do not go together."""

import numpy as np
import pytest

from notebooks.experiments import sweep_results as sweeps
from notebooks.experiments.folders import Folders
from notebooks.experiments.sweep_results import by_speaker, common_seeds, difference, read_run_sweep, read_sweep, sweep_table
from otlib.errors import InputError
from otlib.files import write_json

HARD = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}  # how hard a speaker is: much more than the cells differ


def write_cell(folder, cell, seed, scores, code="1"):
    write_json(folder / f"{cell}_seed{seed}.json", {"sweep": "trial", "cell": cell, "seed": seed, "parameters": {},
                                                    "code": code, "data": "d", "scores": scores, "seconds": 1.0})


def speakers(shift, **changes):
    return {name: value + shift for name, value in HARD.items()} | changes


@pytest.fixture
def folder(tmp_path):
    """Three cells; "open" differs by chance alone, "worse" by 0.5 for every speaker and has a third seed."""
    generator = np.random.default_rng(0)
    for seed in (0, 1):
        write_cell(tmp_path, "full", seed, {"lip_max_mm": speakers(0.1 * seed), "closure_recall": speakers(0.0)})
        write_cell(tmp_path, "open", seed, {"lip_max_mm": {name: value + 0.1 * seed + generator.normal(scale=0.2)
                                                           for name, value in HARD.items()}})
    for seed in (0, 1, 2):
        write_cell(tmp_path, "worse", seed, {"lip_max_mm": speakers(0.5 + 0.1 * seed + 0.01 * seed * (seed == 1)),
                                             "closure_recall": speakers(0.1)})
    write_json(tmp_path / "table.json", {"cells": {}})
    return tmp_path


def test_results_are_read_by_cell_and_seed(folder):
    results = read_sweep(folder)
    assert [(result.cell, result.seed) for result in results] == [
        ("full", 0), ("full", 1), ("open", 0), ("open", 1), ("worse", 0), ("worse", 1), ("worse", 2)]
    assert common_seeds(results, ["full", "worse"]) == [0, 1] and common_seeds(results, ["full", "none"]) == []


def test_a_speakers_number_is_the_mean_over_seeds(folder):
    results = read_sweep(folder)
    assert by_speaker(results, "full", "lip_max_mm", [0, 1]) == pytest.approx(speakers(0.05))
    with pytest.raises(ValueError, match=r"cell 'full' has 2 of the seeds \[0, 1, 2\]"):
        by_speaker(results, "full", "lip_max_mm", [0, 1, 2])


def test_a_difference_is_paired_by_seed_and_speaker(folder):
    found = difference(read_sweep(folder), "worse", "full", "lip_max_mm", [0, 1], generator=np.random.default_rng(0))
    assert found.by_seed == pytest.approx((0.5, 0.51))
    gap = found.comparison.difference
    assert gap.estimate == pytest.approx(0.505) and gap.high - gap.low < 1e-6 and gap.speakers == 4
    assert found.better is False


def test_higher_is_better_for_closures_and_chance_is_left_open(folder):
    results, generator = read_sweep(folder), np.random.default_rng(0)
    assert difference(results, "worse", "full", "closure_recall", [0, 1], generator=generator).better is True
    assert difference(results, "open", "full", "lip_max_mm", [0, 1], generator=generator).better is None


@pytest.mark.parametrize("count, reason", [(2, "2 speakers are too few for a 95% interval"), (1, "got 1"), (0, "got 0")])
def test_few_speakers_leave_a_difference_open_and_say_why(tmp_path, count, reason):
    few = dict(list(HARD.items())[:count])
    for cell, shift in (("full", 0.0), ("worse", 0.5)):
        write_cell(tmp_path, cell, 0, {"lip_max_mm": {name: value + shift for name, value in few.items()}})
    found = difference(read_sweep(tmp_path), "worse", "full", "lip_max_mm", [0], generator=np.random.default_rng(0))
    assert found.comparison is None and found.better is None and reason in found.undefined
    assert found.by_seed == ((0.5,) if count else ())


def test_a_table_says_on_how_many_seeds_it_rests(folder):
    table = sweep_table(read_sweep(folder), ["lip_max_mm", "closure_recall", "mve_mm"])
    assert table["worse"]["seeds"] == [0, 1, 2] and table["full"]["lip_max_mm"] == pytest.approx(3.8)
    assert table["full"]["closure_recall"] == 3.75 and table["full"]["mve_mm"] is None


def test_results_of_other_code_do_not_go_with_these(folder):
    write_cell(folder, "late", 0, {}, code="2")
    with pytest.raises(InputError, match="come from different code or data; run `make sweep NAME="):
        read_sweep(folder)
    assert len(read_sweep(folder, mixed=True)) == 8


@pytest.mark.parametrize("content", [{}, {"cell": "a", "seed": 0, "parameters": {}, "scores": {}}, []])
def test_a_file_that_is_no_result_is_named(folder, content):
    write_json(folder / "full_seed7.json", content)
    with pytest.raises(InputError, match="full_seed7.json: is not the result of a sweep's cell"):
        read_sweep(folder)


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match=f"holds no result of a sweep; run `make sweep NAME={tmp_path.name}`"):
        read_sweep(tmp_path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository whose reference holds a sweep of two cells."""
    monkeypatch.setattr(sweeps, "REFERENCE", tmp_path / "results" / "reference")
    write_sweep(tmp_path / "results" / "reference" / "sweeps" / "trial", 1.0)
    return tmp_path


def write_sweep(folder, shift, cells=("full", "open"), codes=("1", "1")):
    for cell, code in zip(cells, codes, strict=False):
        write_cell(folder, cell, 0, {"lip_max_mm": speakers(shift)}, code)
    write_json(folder / "table.json", {"shift": shift, "cells": {}})


@pytest.mark.parametrize("own, read", [
    (None, "reference"),
    ({"shift": 2.0}, "runs/fast"),
    ({"shift": 1.0}, "reference"),  # taken over before
    ({"shift": 2.0, "cells": ("full",)}, "reference"),
    ({"shift": 2.0, "codes": ("1", "2")}, "reference"),
])
def test_a_runs_own_sweep_is_read_where_it_is_whole_and_the_references_else(root, own, read):
    folders = Folders(root=root)
    if own:
        write_sweep(folders.sweep("trial"), **own)
    place, results = read_run_sweep(folders, "trial", ["full", "open"])
    assert place == root / "results" / read / "sweeps" / "trial"
    assert results[0].scores["lip_max_mm"] == speakers(1.0 if read == "reference" else 2.0)


def test_a_sweep_under_way_is_not_read(root):
    write_sweep(Folders(root=root).sweep("trial"), 2.0)
    (Folders(root=root).sweep("trial") / "table.json").unlink()
    assert read_run_sweep(Folders(root=root), "trial", ["full"])[0].parent.parent.name == "reference"
