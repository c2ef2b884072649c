"""The matrices of a graph: adjacency, Laplacian, Chebyshev polynomials, diffusion, in NumPy.

An adjacency A [nodes, nodes] has no entry below zero; A_ij is how strongly j reaches i, zero where there is no edge.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def adjacency(nodes: int, edges: Iterable[tuple[int, int, float]], directed: bool = False) -> np.ndarray:
    """Returns A [nodes, nodes] of edges (from, to, weight); of a graph without directions each stands twice.

    Raises ValueError: a node outside 0 ... nodes - 1, an edge from a node to itself, a weight that is not positive.
    """
    found = np.zeros((nodes, nodes))
    for source, to, weight in edges:
        if not (0 <= source < nodes and 0 <= to < nodes):
            raise ValueError(f"edge {source} -> {to}: expected nodes from 0 to {nodes - 1}")
        if source == to or not weight > 0:
            raise ValueError(f"edge {source} -> {to}, weight {weight}: expected two nodes and a weight above zero")
        found[to, source] = weight
        if not directed:
            found[source, to] = weight
    return found


def near(points: np.ndarray, radius: float) -> np.ndarray:
    """Returns A of points [nodes, d], one where two are nearer than the radius."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return ((distance < radius) & ~np.eye(len(points), dtype=bool)).astype(float)


def similarity(features: np.ndarray, share: float) -> np.ndarray:
    """Returns A of the `share` of pairs whose features [nodes, d] have the largest cosine (ST-MGCN's A_S)."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    above = cosine[np.triu_indices(len(unit), 1)]
    return ((cosine > np.quantile(above, 1 - share)) & ~np.eye(len(unit), dtype=bool)).astype(float)


def scaled_laplacian(a: np.ndarray) -> np.ndarray:
    """Returns 2 L / lambda_max - I, L = I - D^-1/2 A D^-1/2, with eigenvalues in [-1, 1] (Defferrard et al. 2016).

    a: [nodes, nodes], symmetric. A node without neighbours has a row of L that is zero. Raises ValueError: a is not
    symmetric, or has no edge.
    """
    if not np.allclose(a, a.T) or not a.any():
        raise ValueError("adjacency: expected a symmetric matrix with an edge")
    root = np.sqrt(a.sum(axis=1))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    laplacian = np.diag((root > 0).astype(float)) - inverse[:, None] * a * inverse
    return 2 * laplacian / np.linalg.eigvalsh(laplacian)[-1] - np.eye(len(a))


def chebyshev(matrix: np.ndarray, order: int) -> np.ndarray:
    """Returns T_0 ... T_order [order + 1, nodes, nodes]: T_0 = I, T_1 = M, T_k = 2 M T_{k-1} - T_{k-2}."""
    found = [np.eye(len(matrix)), matrix]
    while len(found) <= order:
        found.append(2 * matrix @ found[-1] - found[-2])
    return np.stack(found[: order + 1])


def diffusion(a: np.ndarray) -> np.ndarray:
    """Returns P = D^-1 A, whose rows sum to one; of a node that nobody reaches to zero."""
    total = a.sum(axis=1, keepdims=True)
    return np.divide(a, total, out=np.zeros_like(a, dtype=float), where=total > 0)
