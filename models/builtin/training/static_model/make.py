"""From corpus and teacher to the model's files, in stages that a later run takes up where an earlier one stopped.

python -m static_model.make --corpus corpus.jsonl.gz --out FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

from .learning import Training, blend, initial_rows, mean_cosine, train
from .linear import Matrix, principal_axes, unit_rows
from .pieces import PieceReader, frequencies
from .table import write_model
from .teacher import Teacher, build_onnx, teacher_folder

DIMENSIONS = 256
LONGEST = 72
"""Pieces of a text that the teacher reads, [CLS] and [SEP] included."""
SHARD = 8192
"""Texts whose vectors make one file: what an interruption can lose."""
HELD_OUT = 100
"""One text in so many is kept from the training."""


class Work:
    """The folder of what the stages made, valid for one corpus and teacher."""

    def __init__(self, folder: Path, inputs: dict[str, str | int]) -> None:
        self.folder = folder
        self._start = time.monotonic()
        (folder / "vectors").mkdir(parents=True, exist_ok=True)
        path = folder / "inputs.json"
        if path.exists() and json.loads(path.read_text()) != inputs:
            raise SystemExit(f"{folder} holds work on another corpus or teacher: name another --work, or remove it")
        self.save("inputs.json", lambda temporary: temporary.write_text(json.dumps(inputs)))

    def save(self, name: str, write: Callable[[Path], object]) -> Path:
        """A file is there whole or not at all."""
        path = self.folder / name
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        write(temporary)
        temporary.replace(path)
        return path

    def made(self, name: str, write: Callable[[Path], object]) -> Path:
        path = self.folder / name
        return path if path.exists() else self.save(name, write)

    def say(self, message: str) -> None:
        print(f"{time.monotonic() - self._start:7.0f} s  {message}", flush=True)


def read_corpus(path: Path) -> list[str]:
    """Texts of a JSON Lines file of {source, text}, plain or compressed by gzip."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def teacher_vectors(work: Work, teacher: Teacher, texts: list[str]) -> Matrix:
    shards = []
    for start in range(0, len(texts), SHARD):
        batch = texts[start : start + SHARD]

        def write(temporary: Path, batch: list[str] = batch) -> None:
            with temporary.open("wb") as file:
                np.save(file, teacher.vectors(batch).astype(np.float16))

        shards.append(np.load(work.made(f"vectors/{start:07d}.npy", write)))
        work.say(f"teacher: {start + len(batch)} of {len(texts)} texts")
    return unit_rows(np.concatenate(shards).astype(np.float32))


def piece_vectors(work: Work, teacher: Teacher, size: int) -> tuple[Matrix, Matrix]:
    def write(temporary: Path) -> None:
        means, own = teacher.piece_vectors(size)
        with temporary.open("wb") as file:
            np.savez(file, means=means, own=own)

    with np.load(work.made("pieces.npz", write)) as saved:
        return saved["means"], saved["own"]


def trained_rows(
    work: Work, start: Matrix, counts: sparse.csr_matrix, targets: Matrix, held_out: np.ndarray, training: Training
) -> Matrix:
    """Rows as trained; taken from the folder when they were made with the same settings."""
    settings = json.dumps(asdict(training))
    path = work.folder / "rows.npz"
    if path.exists():
        with np.load(path) as saved:
            if str(saved["settings"]) == settings:
                return saved["rows"]

    unseen = held_out & (np.diff(counts.indptr) > 0)

    def report(epoch: int, cosine: float, rows: Matrix) -> None:
        held = mean_cosine(rows, counts[unseen], targets[unseen])
        work.say(f"training: epoch {epoch} of {training.epochs}, cosine {cosine:.4f}, held out {held:.4f}")

    work.say(f"training: start, held out {mean_cosine(start, counts[unseen], targets[unseen]):.4f}")
    rows = train(start, counts[~held_out], targets[~held_out], training, report)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, rows=rows, settings=settings)

    work.save("rows.npz", write)
    return rows


def make(
    corpus: Path, out: Path, work_folder: Path, teacher_at: Path | None, training: Training, gamma: float, name: str
) -> None:
    source = teacher_folder(teacher_at)
    with corpus.open("rb") as file:
        fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
    work = Work(work_folder, {"corpus": fingerprint, "longest": LONGEST, "shard": SHARD})
    texts = read_corpus(corpus)
    work.say(f"corpus: {len(texts)} texts")

    model = work.made("teacher.onnx", lambda temporary: build_onnx(source / "model.safetensors", temporary))
    teacher = Teacher(model, source / "tokenizer.json", LONGEST)
    vectors = teacher_vectors(work, teacher, texts)
    reader = PieceReader(source / "tokenizer.json")
    means, own = piece_vectors(work, teacher, reader.size)

    held_out = np.array([zlib.crc32(text.encode()) % HELD_OUT == 0 for text in texts])
    axes, energy = principal_axes(vectors[~held_out], DIMENSIONS)
    work.say(f"axes: {DIMENSIONS} keep {energy:.1%} of the teacher's energy")
    counts = reader.matrix(texts, LONGEST - 2)
    frequency = frequencies(counts)
    start = initial_rows(means, axes, frequency)
    rows = trained_rows(work, start, counts, unit_rows(vectors @ axes), held_out, training)
    write_model(out, name, blend(rows, own, axes, frequency, gamma), source / "vocab.txt")
    work.say(f"written: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m static_model.make", description="Makes the static model's files.")
    parser.add_argument("--corpus", type=Path, required=True, help="JSON Lines of {source, text}, .gz or plain")
    parser.add_argument("--out", type=Path, required=True, help="folder for table, vocabulary and manifest")
    parser.add_argument("--work", type=Path, help="folder for what the stages make (350 MB); default OUT/work")
    parser.add_argument(
        "--teacher", type=Path, help="folder with the teacher's files; default: the installed package's"
    )
    parser.add_argument("--name", default="static-minilm-256", help="the model's name, part of its id")
    parser.add_argument("--gamma", type=float, default=1.0, help="weight of each piece's own direction")
    parser.add_argument("--epochs", type=int, default=Training.epochs)
    parser.add_argument("--rate", type=float, default=Training.rate)
    parser.add_argument("--batch", type=int, default=Training.batch)
    parser.add_argument("--seed", type=int, default=Training.seed)
    given = parser.parse_args()
    training = Training(epochs=given.epochs, rate=given.rate, batch=given.batch, seed=given.seed)
    work = given.work or given.out / "work"
    make(given.corpus, given.out, work, given.teacher, training, given.gamma, given.name)


if __name__ == "__main__":
    main()
