"""The benchmark's figure: time against atoms, and error against directions."""

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

# Okabe and Ito's colours, safe for colour-blind eyes: one for each method, one for each sampler.
METHODS = {"pot": ("POT", "#D55E00"), "torch": ("otlib, torch", "#0072B2"), "kernel": ("otlib, kernel", "#009E73"),
           "device": ("otlib, torch on the GPU", "#CC79A7"),
           "argsort": ("numpy.argsort alone", "#999999")}
SAMPLERS = {"gaussian": ("Monte-Carlo", "#D55E00"), "orthogonal": ("orthogonal", "#0072B2"), "design": ("design", "#009E73")}
STYLES = {3: "-", 6: "--"}


def draw_figure(result: dict) -> Figure:
    """Three panels from the benchmark's JSON: seconds a frame, error of the value, error of the gradient."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    time_axes, *error_axes = figure.subplots(1, 3)
    _draw_times(time_axes, result["time"])
    for axes, kind, title in zip(error_axes, ("value_error", "gradient_error"),
                                 ("Error of the value", "Error of the gradient in the vertices"), strict=True):
        _draw_errors(axes, result["error"], kind)
        axes.set_title(title)
    speed, machine = result["summary"]["pot_over_kernel"], result["machine"]
    there = f"; GPU: {machine['device']}" if "device" in machine else ""
    figure.suptitle(f"Sliced Wasserstein distance: the kernel is {speed['least']:.0f} to {speed['most']:.0f} times faster "
                    f"than POT ({machine['processor']}, {machine['threads']} threads{there})")
    return figure


def _draw_times(axes, rows: list[dict]) -> None:
    """Milliseconds a frame, forward and backward, at the largest number of directions and 30 frames (or the most)."""
    frames = 30 if any(row["frames"] == 30 for row in rows) else max(row["frames"] for row in rows)
    count = max(row["directions"] for row in rows)
    for dimension, style in STYLES.items():
        chosen = sorted((row for row in rows if (row["dimension"], row["directions"], row["frames"]) ==
                         (dimension, count, frames)), key=lambda row: row["atoms"])
        for method, (name, colour) in METHODS.items():
            if method not in chosen[0]["seconds"]:
                continue
            axes.plot([row["atoms"] for row in chosen], [1e3 * row["seconds"][method] / frames for row in chosen],
                      style, marker="o", color=colour, label=name if dimension == 3 else None)
    axes.set(xscale="log", yscale="log", xlabel="atoms", ylabel="milliseconds a frame, forward and backward",
             title=f"{count} directions, {frames} frames")
    _label_styles(axes)


def _draw_errors(axes, rows: list[dict], kind: str) -> None:
    """Relative error against directions, mean over both pairs of frames, on the smallest mesh."""
    for dimension, style in STYLES.items():
        row = min((row for row in rows if row["dimension"] == dimension), key=lambda row: row["atoms"])
        for sampler, (name, colour) in SAMPLERS.items():
            errors = [entry for entry in row["errors"] if entry["sampler"] == sampler]
            counts = sorted({entry["directions"] for entry in errors})
            means = [sum(e[kind] for e in errors if e["directions"] == count) /
                     sum(e["directions"] == count for e in errors) for count in counts]
            axes.plot(counts, means, style, marker="o", color=colour, label=name if dimension == 3 else None)
    axes.set(xscale="log", yscale="log", xlabel="directions", xticks=[6, 12, 24, 50, 100],
             ylabel=f"relative RMS error over {rows[0]['seeds']} seeds")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    _label_styles(axes)


def _label_styles(axes) -> None:
    """One entry for each colour, one for each dimension."""
    for dimension, style in STYLES.items():
        axes.plot([], [], style, color="black", label=f"d = {dimension}")
    axes.legend(fontsize=8)
