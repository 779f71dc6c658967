"""Exercises: every solution passes its check, nothing else does, and each notebook asks only what there is."""

import ast
import importlib
import pkgutil

import nbformat
import numpy as np
import pytest

import notebooks.exercises as package
from notebooks.exercises import chebyshev, completion, measures, metrics, sliced, solutions
from notebooks.exercises import overlapping_windows as windows
from notebooks.exercises.exercise import Differs, Exercise, same
from tests.conftest import ROOT

TOPICS = sorted({module.name for module in pkgutil.iter_modules(package.__path__)} - {"exercise", "solutions"})
EXERCISES = {(topic, name): value for topic in TOPICS
             for name, value in vars(importlib.import_module(f"notebooks.exercises.{topic}")).items()
             if isinstance(value, Exercise)}


def solution(topic, name):
    return getattr(importlib.import_module(f"notebooks.exercises.solutions.{topic}"), name.lower())


def test_every_topic_has_exercises_and_a_file_of_solutions():
    assert {topic for topic, _ in EXERCISES} == set(TOPICS)
    assert {module.name for module in pkgutil.iter_modules(solutions.__path__)} == set(TOPICS)


@pytest.mark.parametrize(("topic", "name"), EXERCISES)
def test_the_solution_passes_its_check(topic, name):
    verdict = EXERCISES[topic, name].check(solution(topic, name))
    assert verdict.passed and str(verdict) == f"{name.lower()}: right"


@pytest.mark.parametrize(("topic", "name"), EXERCISES)
def test_an_empty_skeleton_and_a_scaled_answer_do_not(topic, name):
    exercise = EXERCISES[topic, name]
    verdict = exercise.check(lambda *arguments, **options: None)
    assert not verdict.passed and "returns nothing" in verdict.says
    verdict = exercise.check(lambda *arguments: 1.01 * np.asarray(solution(topic, name)(*arguments), dtype=float) + 0.01)
    assert not verdict.passed, "a wrong factor has to be seen"


@pytest.mark.parametrize(("topic", "name"), EXERCISES)
def test_question_and_hint_say_something(topic, name):
    exercise = EXERCISES[topic, name]
    assert exercise.question.startswith(f"{name.lower()}(")
    assert exercise.hint not in exercise.question and len(exercise.hint.split()) >= 4


WRONG = {  # what a learner may well hand in, and what the check then says
    "orders in place of terms": (chebyshev.CHEBYSHEV_TERMS, lambda laplacian, x, terms: np.array(
        [np.linalg.matrix_power(laplacian, k) @ x for k in range(terms)]), "7 terms on 6 vertices|3 terms on 6 vertices"),
    "one row too many": (chebyshev.CHEBYSHEV_TERMS, lambda laplacian, x, terms: np.array([x, laplacian @ x]), "1 terms"),
    "vertices in place of surface": (measures.SURFACE_MEAN, lambda vertices, faces: vertices.mean(0), "four triangles"),
    "half of the square thrown away": (measures.TRIANGLE_POINTS, lambda corners, uniform: corners[0] + uniform[
        uniform.sum(1) <= 1] @ (corners[1:] - corners[0]), "(0, 1): the shape is (0, 3)"),
    "with the root": (sliced.SLICED_SQUARED, lambda x, y, directions: np.sqrt(np.mean(
        (np.sort(x @ directions.T, axis=0) - np.sort(y @ directions.T, axis=0)) ** 2)), "it is 2.23607, it should be 5"),
    "half the gradient": (sliced.SLICED_GRADIENT, lambda *clouds: solution("sliced", "SLICED_GRADIENT")(*clouds) / 2,
                          "every number is 0.5 times what it should be"),
    "the mean of distances": (metrics.LIP_VERTEX_ERROR, lambda truth, prediction, lips: np.linalg.norm(
        (prediction - truth)[:, lips], axis=-1).max(1).mean(), "it is 0.0025, it should be 1.25e-05"),
    "early for late": (metrics.DELAY, lambda *gaps: -solution("metrics", "DELAY")(*gaps), "it is -3, it should be 3"),
    "edges, not terms": (chebyshev.LEAST_TERMS, lambda edges, start, goal: 0, "from 2 to 2: it is 0, it should be 1"),
    "windows that only touch": (windows.WINDOW_EDGES, lambda frames, window, reach: [
        (first, first, min(first + window, frames), min(first + window, frames)) for first in range(0, frames, window)],
        "10 frames, windows of 4, reach 2: 33% of the numbers differ"),
    "no key forgotten": (completion.BETWEEN_KEYS, lambda keys, values, frames: np.interp(np.arange(frames), keys, values),
                         "it stopped with ValueError"),
    "nothing outside the keys": (completion.BETWEEN_KEYS, lambda keys, values, frames: np.interp(
        np.arange(frames), keys, values, left=0.0, right=0.0) if len(keys) else np.zeros(frames),
        "keys 1 and 5 of 7 frames: 14% of the numbers differ"),
    "steps, not lines": (completion.BETWEEN_KEYS, lambda keys, values, frames: values[
        (np.searchsorted(keys, np.arange(frames), "right") - 1).clip(0)] if len(keys) else np.zeros(frames),
        "keys 1 and 5 of 7 frames: 43% of the numbers differ"),
}


@pytest.mark.parametrize("case", WRONG)
def test_likely_mistakes_are_named(case):
    exercise, answer, message = WRONG[case]
    verdict = exercise.check(answer)
    assert not verdict.passed
    assert any(part in verdict.says for part in message.split("|")), verdict.says


def test_a_function_that_fails_is_told_so():
    verdict = chebyshev.LEAST_TERMS.check(lambda edges, start, goal: 1 / 0)
    assert not verdict.passed and verdict.says.endswith("not yet, it stopped with ZeroDivisionError: division by zero")


@pytest.mark.parametrize(("found", "message"), [
    (None, "case: it returns nothing"),
    ("words", "it returns str"),
    ([1.0, 2.0], r"the shape is \(2,\), it should be \(3,\)"),
    ([1.0, 2.0, np.nan], "not finite"),
    ([2.0, 4.0, 6.0], "every number is 2 times what it should be"),
    ([1.0, 2.0, 3.5], r"33% of the numbers differ, most at \[2\], 3.5 in place of 3"),
])
def test_differences_are_said(found, message):
    with pytest.raises(Differs, match=message):
        same("case", found, [1.0, 2.0, 3.0], 1e-6)


def test_what_is_within_the_tolerance_is_the_same():
    same("case", [1.0, 2.0, 3.0 + 2e-6], [1.0, 2.0, 3.0], 1e-6)
    same("case", 4, 4)
    with pytest.raises(Differs, match="it is 4.1, it should be 4"):
        same("case", 4.1, 4)


def asked():
    """(notebook, topic, skeleton's name, name of the check) of each exercise that a notebook asks."""
    for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(file, as_version=4).cells:
            if "exercise" not in cell.metadata.get("tags", ()):
                continue
            tree = ast.parse(cell.source)
            [topic] = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
            skeletons = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            checks = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                      and node.func.attr == "check"]
            assert len(skeletons) == len(checks) > 0, file.name
            for skeleton, check in zip(skeletons, checks, strict=True):
                yield file.name, topic, skeleton, check


def test_notebooks_ask_every_exercise_once_by_an_empty_skeleton_with_shapes():
    found = []
    for file, topic, skeleton, check in asked():
        assert check.func.value.attr == skeleton.name.upper() and check.args[0].id == skeleton.name, file
        assert len(skeleton.body) == 1 and "(" in ast.get_docstring(skeleton), f"{file}: {skeleton.name}"
        found.append((topic, skeleton.name.upper()))
    assert sorted(found) == sorted(EXERCISES)
