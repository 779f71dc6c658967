"""What a person should read of tables that were not taken just as they are."""

from collections.abc import Collection, Mapping, Sequence

from data_prep.arkit.in_step import InStep

_NAMES_SHOWN = 6
_MOVES = 0.01  # a weight below it moves nothing that one would miss


def what_was_done(takes: Mapping[str, InStep], shapes: Collection[str]) -> list[str]:
    """Return sentences on weights that were cut, gaps over which lines were drawn, times supposed, and shapes without use.

    Args:
        takes: by their names.
        shapes: the head's shapes.
    """
    cut = {name: take.table.cut for name, take in takes.items() if take.table.cut}
    bridged = {name: take.bridged for name, take in takes.items() if take.bridged}
    lines = []
    if cut:
        lines.append(f"in {len(cut)} of {len(takes)} tables weights lay below 0 or above 1 and were cut off there, by "
                     f"{max(cut.values()):.3g} at most ({_largest(cut)})")
    if bridged:
        lines.append(f"in {len(bridged)} of {len(takes)} tables frames or the face were missing, and lines were drawn over "
                     f"them, for {max(bridged.values()):.3g} s at most ({_largest(bridged)})")
    for supposed in sorted({take.table.supposed for take in takes.values()} - {""}):
        names = [name for name, take in takes.items() if take.table.supposed == supposed]
        lines.append(f"{supposed} (say --timecode-rate where that is wrong): {_few(names)}")
    lost: dict[str, float] = {}
    for take in takes.values():
        for name, column in zip(take.table.names, take.weights.T, strict=True):
            if name not in shapes:
                lost[name] = max(lost.get(name, 0.0), float(column.max()))
    if lost := {name: largest for name, largest in lost.items() if largest > _MOVES}:
        lines.append("the head has not all shapes that the tables move, so these are left out: "
                     + _few([f"{name} (up to {lost[name]:.2g})" for name in sorted(lost, key=lost.get, reverse=True)]))
    return lines


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _largest(amounts: Mapping[str, float]) -> str:
    return max(amounts, key=lambda name: amounts[name])
