"""Texts as word pieces, and counts of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from tokenizers import Tokenizer

from .linear import Vector

PAD, UNK, CLS, SEP, MASK = 0, 100, 101, 102, 103
SPECIAL = [PAD, UNK, CLS, SEP, MASK]


class PieceReader:
    """Word pieces of texts, as the model will see them: without special pieces."""

    def __init__(self, tokenizer: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.size: int = self._tokenizer.get_vocab_size()

    def matrix(self, texts: list[str], longest: int | None = None) -> sparse.csr_matrix:
        """How often each text has each piece, float32 [texts, pieces]; of each text the first `longest` pieces."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return count_matrix([[i for i in e.ids if i not in SPECIAL][:longest] for e in encodings], self.size)


def count_matrix(pieces: list[list[int]], size: int) -> sparse.csr_matrix:
    ends = np.cumsum([0] + [len(ids) for ids in pieces])
    columns = np.fromiter((i for ids in pieces for i in ids), np.int32, count=int(ends[-1]))
    matrix = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(pieces), size))
    matrix.sum_duplicates()
    return matrix


def frequencies(counts: sparse.csr_matrix) -> Vector:
    """Share of each piece among all, half a count added so that none is 0."""
    totals = np.asarray(counts.sum(axis=0), np.float64).ravel() + 0.5
    return totals / totals.sum()
