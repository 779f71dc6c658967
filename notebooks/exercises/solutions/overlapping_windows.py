"""Answer to the exercise of notebook 07."""


def window_edges(frames, window, reach):
    """Three numbers -> a list of (start, first, last, end)."""
    edges = []
    for first in range(0, frames, window):
        last = min(first + window, frames)
        edges.append((max(0, first - reach), first, last, min(frames, last + reach)))
    return edges
