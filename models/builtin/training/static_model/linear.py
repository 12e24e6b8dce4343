"""Small linear algebra that several stages share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


def unit_rows(matrix: Matrix) -> Matrix:
    """Rows at unit length; rows of zeros stay."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1)


def principal_axes(vectors: Matrix, dimensions: int) -> tuple[Matrix, float]:
    """The axes of greatest energy of uncentred vectors, as columns [from, dimensions], and their share of the energy.

    Uncentred, because cosines are taken from the origin: to subtract the mean would change them.
    """
    energies, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    axes = axes[:, ::-1][:, :dimensions]
    # An eigenvector's sign is arbitrary; fixed, so that another machine's solver gives the same table.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes.astype(np.float32), float(energies[::-1][:dimensions].sum() / energies.sum())
