"""The model's files: table, vocabulary, manifest. Their formats are told in models/builtin/README.md."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .linear import Matrix
from .vocabulary import read_pieces, vocabulary_file

MAGIC = 0x53545645
TYPE_INT8 = 1
VOCABULARY_FILE = "vocab.bin"
MANIFEST_FILE = "manifest.json"


def quantize(rows: Matrix) -> tuple[npt.NDArray[np.int8], Matrix]:
    """Rows as int8 and the scale of each row: a row's greatest weight becomes ±127. A row of zeros has scale 1."""
    scales = np.abs(rows).max(axis=1) / np.float32(127)
    scales[scales == 0] = 1
    return np.round(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def write_table(path: Path, rows: Matrix) -> None:
    integers, scales = quantize(rows)
    header = np.array([MAGIC, *rows.shape, TYPE_INT8], "<u4")
    path.write_bytes(header.tobytes() + scales.astype("<f4").tobytes() + integers.tobytes())


def read_table(path: Path) -> Matrix:
    """Rows of a table, float32 [pieces, dimensions]."""
    content = path.read_bytes()
    magic, size, dimensions, kind = np.frombuffer(content, "<u4", 4) if len(content) >= 16 else (0, 0, 0, 0)
    if magic != MAGIC or kind != TYPE_INT8 or len(content) != 16 + int(size) * (4 + int(dimensions)):
        raise ValueError(f"{path} is no table of int8 rows")
    scales = np.frombuffer(content, "<f4", size, 16)
    integers = np.frombuffer(content, np.int8, offset=16 + 4 * int(size)).reshape(size, dimensions)
    return scales[:, None] * integers.astype(np.float32)


def write_model(folder: Path, name: str, rows: Matrix, vocabulary: Path) -> None:
    """Writes a model's files; the manifest last, so that a folder that has one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / f"{name}.bin", rows)
    pieces = read_pieces(vocabulary)
    (folder / "vocab.txt").write_bytes(b"\n".join(pieces) + b"\n")
    (folder / VOCABULARY_FILE).write_bytes(vocabulary_file(pieces))
    write_manifest(folder, name)


def write_manifest(folder: Path, name: str) -> None:
    manifest = {
        "name": name,
        "table": _entry(folder / f"{name}.bin"),
        "vocabulary": _entry(folder / VOCABULARY_FILE),
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_model(folder: Path) -> Matrix:
    """Rows of the model in a folder."""
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    return read_table(folder / manifest["table"]["file"])


def _entry(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "crc32": f"{zlib.crc32(content):08x}"}
