"""Meshes as probability measures, and the sliced Wasserstein distance between them."""
