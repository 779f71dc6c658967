"""Motion as files that other programs read."""
