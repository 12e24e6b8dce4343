"""Rows of weights from the teacher's vectors: a start, training, a blend, bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .linear import Matrix, Vector, unit_rows
from .pieces import SPECIAL

DAMPING = 1e-3
"""a in a / (a + p): how rare a piece must be to weigh fully (Arora, Liang, Ma 2017, "A simple but tough-to-beat
baseline for sentence embeddings", section 3)."""


def weight_of(frequency: Vector) -> Matrix:
    """a / (a + p) for each piece, as a column."""
    return (DAMPING / (DAMPING + frequency)).astype(np.float32)[:, None]


def initial_rows(piece_means: Matrix, axes: Matrix, frequency: Vector) -> Matrix:
    """Each piece's own vector in the student's dimensions, frequent pieces made short."""
    rows = unit_rows(piece_means) @ axes * weight_of(frequency)
    rows[SPECIAL] = 0
    return rows


@dataclass(frozen=True)
class Training:
    epochs: int = 12
    batch: int = 4096
    rate: float = 1e-2
    """Adam's step size at its highest: it rises over the first steps, then falls in a line."""
    warm_up: int = 50
    last_rate_share: float = 0.03
    decay_mean: float = 0.9
    decay_square: float = 0.99
    seed: int = 1


class RowAdam:
    """Adam (Kingma, Ba 2014, arXiv:1412.6980) in which a row that a batch does not hold neither moves nor ages."""

    def __init__(self, rows: Matrix, training: Training) -> None:
        self.rows = rows
        self._training = training
        self._mean = np.zeros_like(rows)
        self._square = np.zeros_like(rows)
        self._steps = np.zeros((len(rows), 1), np.int32)

    def step(self, which: np.ndarray, gradient: Matrix, rate: float) -> None:
        decay_mean, decay_square = self._training.decay_mean, self._training.decay_square
        self._steps[which] += 1
        steps = self._steps[which]
        mean = decay_mean * self._mean[which] + (1 - decay_mean) * gradient
        square = decay_square * self._square[which] + (1 - decay_square) * gradient**2
        self._mean[which], self._square[which] = mean, square
        mean = mean / (1 - decay_mean**steps).astype(np.float32)
        square = square / (1 - decay_square**steps).astype(np.float32)
        self.rows[which] -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-8))


def rate_at(step: int, steps: int, training: Training) -> float:
    """Step size of step 1..steps."""
    fall = 1 - step / steps * (1 - training.last_rate_share)
    return training.rate * min(1, step / training.warm_up) * fall


def mean_cosine(rows: Matrix, counts: sparse.csr_matrix, targets: Matrix) -> float:
    return float((unit_rows(counts @ rows) * targets).sum(axis=1).mean())


def cosine_gradient(sums: Matrix, targets: Matrix) -> tuple[Matrix, float]:
    """Gradient of the negative mean cosine by the sums, and the mean cosine."""
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    directions = sums / lengths
    cosines = (directions * targets).sum(axis=1, keepdims=True)
    return (directions * cosines - targets) / (lengths * len(sums)), float(cosines.mean())


def train(
    rows: Matrix,
    counts: sparse.csr_matrix,
    targets: Matrix,
    training: Training = Training(),
    report: Callable[[int, float, Matrix], None] = lambda epoch, cosine, rows: None,
) -> Matrix:
    """Rows whose mean over a text's pieces points where the teacher's unit vector (`targets`) does.

    `report` gets each epoch's number, its mean cosine and the rows as they stand.
    """
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    order = np.flatnonzero(lengths > 0)
    # The mean in place of the sum changes no cosine, but gives long texts no smaller steps than short ones.
    means = sparse.csr_matrix(sparse.diags(np.float32(1) / np.maximum(lengths, np.float32(1))) @ counts)
    batch = min(training.batch, len(order))
    batches = len(order) // batch
    adam = RowAdam(rows.copy(), training)
    generator = np.random.default_rng(training.seed)
    step = 0
    for epoch in range(1, training.epochs + 1):
        generator.shuffle(order)
        total = 0.0
        for start in range(0, batches * batch, batch):
            chosen = order[start : start + batch]
            texts = means[chosen]
            # Only the columns in use: the product's other rows would be 30,000 rows of zeros.
            which, columns = np.unique(texts.indices, return_inverse=True)
            used = sparse.csr_matrix((texts.data, columns, texts.indptr), shape=(batch, len(which)))
            gradient, cosine = cosine_gradient(used @ adam.rows[which], targets[chosen])
            step += 1
            adam.step(which, used.T @ gradient, rate_at(step, training.epochs * batches, training))
            total += cosine
        report(epoch, total / batches, adam.rows)
    return adam.rows


def blend(rows: Matrix, piece_states: Matrix, axes: Matrix, frequency: Vector, gamma: float) -> Matrix:
    """Rows plus γ times each piece's own last state, centred, brought to the rows' energy over running text.

    The training sees a piece only in the company its texts give it; its own state says what it means alone.
    """
    own = (piece_states - piece_states.mean(axis=0)) @ axes * weight_of(frequency)
    energy = (frequency * np.square(rows, dtype=np.float64).sum(axis=1)).sum()
    own_energy = (frequency * np.square(own, dtype=np.float64).sum(axis=1)).sum()
    blended = rows + np.float32(gamma * np.sqrt(energy / own_energy)) * own
    blended[SPECIAL] = 0
    return blended
