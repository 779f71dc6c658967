"""One meaning for each colour, in every figure, picture and glTF file."""

# Okabe and Ito's colour-blind safe palette.
TRUE = "#0072B2"
PREDICTED = "#D55E00"
HIGHLIGHT = "#E69F00"  # the closures p, b and m
NEUTRAL = "#767676"  # baselines, oracle, axes of reference
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # curves that are neither

ERROR_COLOURMAP = "YlOrRd"  # error in mm: light is none; readable in grey and with every kind of colour vision
SIGNED_COLOURMAP = "PuOr_r"  # a signal on a surface: violet below zero, orange above
COST_COLOURMAP = "viridis"  # transport cost of an atom

BACKGROUND = "#E8EBEE"  # of 3-D pictures; flat, because a gradient costs a third of the drawing time on a CPU
BARE_SURFACE = "#C9CCD0"  # a mesh without named parts in a scientific picture


def named(name: str) -> str:
    """Return the colour of "true" or "predicted"; grey for any other name."""
    return {"true": TRUE, "predicted": PREDICTED}.get(name, NEUTRAL)
