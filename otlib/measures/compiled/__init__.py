"""The sliced Wasserstein distance and its matching, compiled by numba for the CPU."""
