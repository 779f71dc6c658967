"""What the benchmark says of its rows: extremes, goals reached, missed and not measured, and the README's sentence."""

import math

import pytest

from notebooks.driver import readme
from tests.benchmarks import sliced_summary


def rows(least=26.0, many=36.0, memory=30.0, argsort=1.4, equal=(160.0, 260.0)):
    """Two problems of the grid, with the figures that the goals are about."""
    def at(atoms, frames=1):
        return {"atoms": atoms, "dimension": 3, "directions": 100, "frames": frames}

    def used(atoms, method, mb, frames=1):
        return {**at(atoms, frames), "method": method, "extra_mb": mb}

    def cell(atoms, ratio, dimension=3, error="value_error"):
        return {"atoms": atoms, "dimension": dimension, "error": error, "pair": "two frames apart",
                "design_directions": 12, "pot_over_kernel": ratio}

    return {
        "time": [{**at(9976), "pot_over_kernel": least, "kernel_over_argsort": argsort, "seconds": {"pot": 1.0}},
                 {**at(46068), "pot_over_kernel": many, "kernel_over_argsort": 1.0, "seconds": {"pot": 1.0}}],
        "memory": [used(9976, "kernel", 2.0), used(9976, "pot", 2.0 * memory), used(46068, "kernel", 10.0),
                   used(46068, "pot", 500.0), used(46068, "torch", 100.0), used(46068, "kernel", 700.0, frames=120)],
        "equal": [{"cells": [cell(9976, equal[0]), cell(9976, 9.0, error="gradient_error"), cell(46068, 5.0, dimension=6)]},
                  {"cells": [cell(46068, equal[1])]}],
    }


def result_of(summary, **changes):
    made = rows(**changes)
    return {"machine": {"processor": "a processor", "threads": 2}, "summary": summary(made), **made}


def test_every_goal_is_reached_by_figures_that_reach_it():
    found = sliced_summary.summary(rows())
    assert [goal["reached"] for goal in found["goals"]] == [True] * 7
    assert [goal["measured"] for goal in found["goals"]] == [26, 36, 30, 1.4, 700, 160, 260]
    assert found["pot_over_kernel"] == {"least": 26, "geometric_mean": pytest.approx(math.sqrt(26 * 36)), "most": 36}


@pytest.mark.parametrize(("change", "missed"), [
    ({"least": 24.9}, [0]), ({"many": 34.0}, [1]), ({"memory": 19.0}, [2]), ({"argsort": 1.51}, [3]),
    ({"equal": (149.0, 260.0)}, [5]), ({"equal": (160.0, 249.0)}, [6]), ({"many": 24.0}, [0, 1]),
])
def test_a_goal_that_is_missed_is_said_to_be(change, missed):
    result = result_of(sliced_summary.summary, **change)
    assert [number for number, goal in enumerate(result["summary"]["goals"]) if not goal["reached"]] == missed
    lines = sliced_summary.report(result).splitlines()
    assert [number for number, line in enumerate(lines[1:8]) if line.startswith("NOT REACHED")] == missed


def test_a_small_grid_leaves_the_goals_of_the_large_one_open():
    small = {part: [row for row in found if row.get("atoms") != 46068] for part, found in rows().items()}
    small["equal"] = small["equal"][:1]
    goals = sliced_summary.summary(small)["goals"]
    assert [goal["reached"] for goal in goals] == [True, None, True, True, None, True, None]


def test_a_design_that_was_not_found_leaves_its_figure_open():
    result = result_of(sliced_summary.summary, equal=(None, 260.0))
    assert result["summary"]["goals"][5]["reached"] is None
    assert "two frames apart: no design that was tried is as good" in sliced_summary.report(result)


def test_the_torch_path_on_a_device_is_reported_with_its_name():
    made = rows()
    for row, seconds in zip(made["time"], (0.5, 0.125), strict=True):
        row["seconds"]["device"] = seconds
    result = {"machine": {"processor": "a processor", "threads": 2, "device": "a GPU"},
              "summary": sliced_summary.summary(made)}
    assert sliced_summary.report(result).splitlines()[-1] == "torch path on a GPU: 2 to 8 times faster than POT on the CPU"


def test_the_readme_quotes_the_benchmark():
    sentence = readme.bench(result_of(sliced_summary.summary))
    for part in ("**26 to 36 times faster** (geometric mean 31) over 2 problems of 9,976 to 46,068 atoms",
                 "at least 30 times less memory", "1.4 times as much as sorting alone", "160 to 260 times cheaper",
                 "a processor, 2 threads"):
        assert part in sentence
