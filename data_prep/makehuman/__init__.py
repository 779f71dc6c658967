"""Heads of MakeHuman (CC0), read out of the Python package that carries them."""
