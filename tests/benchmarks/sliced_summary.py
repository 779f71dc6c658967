"""What the benchmark's rows say: the figures that the project promises, each beside its goal."""

import math
from typing import Any

MANY_ATOMS = 46068
FASTER, FASTER_MANY_ATOMS, LESS_MEMORY = 25, 35, 20  # times, beside POT
ARGSORT, LARGEST_MB = 1.5, 1000
EQUAL_ERROR = {9976: 150, MANY_ATOMS: 250}  # times cheaper than POT at equal error of the value, d = 3


def summary(rows: dict[str, list[dict]]) -> dict[str, Any]:
    """Extremes over the grid, the cost at equal error, and for each goal whether it is reached.

    Args:
        rows: the benchmark's rows by part, "time", "memory" and "equal". A small grid may lack what a goal needs; its
            measured figure and whether it is reached are then None.
    """
    times = rows["time"]
    speed = [row["pot_over_kernel"] for row in times]
    many = [row["pot_over_kernel"] for row in times if row["atoms"] == MANY_ATOMS]
    memory = _memory_ratios(rows["memory"])
    largest = max((row for row in rows["memory"] if row["method"] == "kernel"),
                  key=lambda row: row["atoms"] * row["dimension"] * row["directions"] * row["frames"])
    argsort = max(row["kernel_over_argsort"] for row in times)
    equal = [{name: cell[name] for name in ("atoms", "dimension", "error", "pair", "design_directions", "pot_over_kernel")}
             for row in rows["equal"] for cell in row["cells"]]
    goals = [
        _at_least(FASTER, min(speed), "times faster than POT in every row of the grid"),
        _at_least(FASTER_MANY_ATOMS, min(many, default=None), f"times faster than POT at {MANY_ATOMS:,} atoms"),
        _at_least(LESS_MEMORY, min(memory), "times less memory than POT for one frame"),
        _at_most(ARGSORT, argsort, "times the time of numpy.argsort of the same keys"),
        _at_most(LARGEST_MB, largest["extra_mb"] if largest["atoms"] == MANY_ATOMS else None,
                 "MB for 46,068 atoms, 120 frames, 100 directions, d = 6, with gradients"),
    ]
    for atoms, goal in EQUAL_ERROR.items():
        ratios = [cell["pot_over_kernel"] for cell in equal
                  if (cell["atoms"], cell["dimension"], cell["error"]) == (atoms, 3, "value_error")]
        least = None if None in ratios else min(ratios, default=None)
        goals.append(_at_least(goal, least, f"times cheaper than POT at equal error of the value, {atoms:,} atoms, d = 3"))
    found = {
        "pot_over_kernel": _spread(speed),
        f"pot_over_kernel_at_{MANY_ATOMS}": _spread(many) if many else None,
        "pot_memory_over_kernel_one_frame": _spread(memory),
        "largest_kernel_over_argsort": argsort,
        "largest_kernel_mb": largest["extra_mb"],
        "pot_over_kernel_at_equal_error": equal,
        "goals": goals,
    }
    on_device = [row["seconds"]["pot"] / row["seconds"]["device"] for row in times if "device" in row["seconds"]]
    return found | ({"pot_over_torch_on_device": _spread(on_device)} if on_device else {})


def report(result: dict[str, Any]) -> str:
    """The goals as lines of text, what was measured beside each, then the cost at equal error without a goal."""
    found, machine = result["summary"], result["machine"]
    marks = {True: "reached", False: "NOT REACHED", None: "not measured"}
    lines = [f"{machine['processor']}, {machine['threads']} threads"]
    for goal in found["goals"]:
        measured = "" if goal["measured"] is None else f": {goal['measured']:.3g}"
        lines.append(f"{marks[goal['reached']]:12}  {goal['bound']} {goal['goal']:g} {goal['what']}{measured}")
    speed = found["pot_over_kernel"]
    lines.append(f"over the whole grid {speed['least']:.3g} to {speed['most']:.3g} times faster than POT, "
                 f"geometric mean {speed['geometric_mean']:.3g}")
    lines.append("times cheaper than POT at equal error:")
    for cell in found["pot_over_kernel_at_equal_error"]:
        ratio = ("no design that was tried is as good" if cell["pot_over_kernel"] is None
                 else f"{cell['pot_over_kernel']:.0f} with {cell['design_directions']} directions")
        lines.append(f"  error of the {cell['error'].removesuffix('_error'):8} d = {cell['dimension']}, "
                     f"{cell['atoms']:6,} atoms, {cell['pair']}: {ratio}")
    if "pot_over_torch_on_device" in found:
        lines.append(f"torch path on {machine['device']}: {found['pot_over_torch_on_device']['least']:.3g} to "
                     f"{found['pot_over_torch_on_device']['most']:.3g} times faster than POT on the CPU")
    return "\n".join(lines)


def _memory_ratios(rows: list[dict]) -> list[float]:
    """POT's extra memory over the kernel's, for each problem of one frame."""
    extra = {(row["atoms"], row["dimension"], row["directions"], row["method"]): row["extra_mb"]
             for row in rows if row["frames"] == 1}
    return [extra[*problem, "pot"] / mb for (*problem, method), mb in extra.items() if method == "kernel"]


def _spread(values: list[float]) -> dict[str, float]:
    return {"least": min(values), "geometric_mean": math.exp(sum(map(math.log, values)) / len(values)), "most": max(values)}


def _at_least(goal: float, measured: float | None, what: str) -> dict[str, Any]:
    return {"what": what, "bound": "at least", "goal": goal, "measured": measured,
            "reached": None if measured is None else measured >= goal}


def _at_most(goal: float, measured: float | None, what: str) -> dict[str, Any]:
    return {"what": what, "bound": "at most", "goal": goal, "measured": measured,
            "reached": None if measured is None else measured <= goal}
