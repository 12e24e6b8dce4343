"""The vocabulary with its look-up table ready, so that a program that starts need not fill one.

The format is told in src/embedding/word-piece-vocabulary.ts, which reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

MAGIC = 0x5354504C
MOST_PIECES = 0xFFFF


def fnv1a(content: bytes) -> int:
    """32-bit FNV-1a (Fowler, Noll, Vo: RFC 9923, section 2)."""
    hashed = 0x811C9DC5
    for byte in content:
        hashed = (hashed ^ byte) * 0x01000193 & 0xFFFFFFFF
    return hashed


def vocabulary_file(pieces: list[bytes]) -> bytes:
    """The file for pieces in the order of their ids, each as vocab.txt has it."""
    if not 1 <= len(pieces) <= MOST_PIECES - 1:
        raise ValueError(f"expected 1 to {MOST_PIECES - 1} pieces, got {len(pieces)}")
    slots = np.zeros(1 << (2 * len(pieces) - 1).bit_length(), "<u2")
    for index, piece in enumerate(pieces):
        hashed = fnv1a(piece)
        slot = (hashed ^ hashed >> 15) % len(slots)
        while slots[slot]:
            slot = (slot + 1) % len(slots)
        slots[slot] = index + 1
    lines = [piece + b"\n" for piece in pieces]
    starts = np.cumsum([0] + [len(line) for line in lines]).astype("<u4")
    header = np.array([MAGIC, len(pieces), len(slots), max(map(len, pieces))], "<u4")
    return header.tobytes() + starts.tobytes() + slots.tobytes() + b"".join(lines)


def read_pieces(path: Path) -> list[bytes]:
    """Pieces of a vocab.txt, one a line."""
    return path.read_bytes().removesuffix(b"\n").split(b"\n")
