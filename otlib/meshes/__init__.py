"""Triangle meshes: geometry, graphs, Chebyshev convolution, resolutions."""
