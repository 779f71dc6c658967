"""Chebyshev filters on a graph written out densely, twice: by the polynomials' recursion and by eigenvalues."""

import numpy as np


def dense_scaled_laplacian(faces, vertex_count, lambda_max=2.0):
    """2 L / lambda_max - I with loops over faces and a dense adjacency."""
    adjacency = np.zeros((vertex_count, vertex_count))
    for face in np.asarray(faces):
        for i in face:
            for j in face:
                if i != j:
                    adjacency[i, j] = 1.0
    degree = adjacency.sum(axis=1)
    laplacian = np.eye(vertex_count)
    for i in range(vertex_count):
        for j in range(vertex_count):
            if adjacency[i, j]:
                laplacian[i, j] -= 1.0 / np.sqrt(degree[i] * degree[j])
    return 2.0 * laplacian / lambda_max - np.eye(vertex_count)


def filter_by_recursion(signal, laplacian, weight, bias):
    """sum_k T_k(laplacian) signal weight[k] + bias, with the dense matrices T_k."""
    polynomials = [np.eye(len(laplacian)), laplacian]
    while len(polynomials) < len(weight):
        polynomials.append(2.0 * laplacian @ polynomials[-1] - polynomials[-2])
    return sum(polynomial @ signal @ w for polynomial, w in zip(polynomials, weight, strict=False)) + bias


def filter_by_eigenvalues(signal, laplacian, weight, bias):
    """The same filter in the spectral domain: T_k(cos a) = cos(k a) at each eigenvalue cos a."""
    values, vectors = np.linalg.eigh(laplacian)
    angle = np.arccos(np.clip(values, -1.0, 1.0))
    spectrum = vectors.T @ signal
    result = sum(np.cos(k * angle)[:, None] * (spectrum @ w) for k, w in enumerate(weight))
    return vectors @ result + bias
