"""The card of a data set: how its heads move, measured and drawn."""
