"""Measures a model's folder on public data: likeness of sentences, same or other question, retrieval by vector alone.

    python -m static_model.evaluate --data DIR FOLDER [FOLDER …]

DIR holds stsb/dev.jsonl {s1, s2, score}; pairs/qqp_dev.jsonl and pairs/mqp.jsonl {s1, s2, label}; scifact/ and
cranfield/, each with corpus.jsonl {id, title, text}, queries.jsonl {id, text}, qrels.jsonl {query, doc, grade}, of
scifact the judgements with split "dev". A judgement of Cranfield with code -1 names the paper a question was taken
from, which is left out of that question's ranking.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr

from .linear import Matrix, unit_rows
from .pieces import PieceReader
from .table import read_model
from .teacher import teacher_folder

Row = dict[str, object]
CUT = 10


class StaticModel:
    """A static model as it is used: the direction of the sum of a text's rows."""

    def __init__(self, rows: Matrix, reader: PieceReader) -> None:
        self._rows = rows
        self._reader = reader

    def vectors(self, texts: list[str]) -> Matrix:
        """Unit vectors; zeros for a text without a known piece."""
        return unit_rows(self._reader.matrix(texts) @ self._rows)


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pair_cosines(model: StaticModel, rows: list[Row]) -> np.ndarray:
    first, second = (model.vectors([str(row[side]) for row in rows]) for side in ("s1", "s2"))
    return (first * second).sum(axis=1)


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """Chance that a pair of label 1 scores above one of label 0, ties half (Mann, Whitney 1947)."""
    positives = labels == 1
    above = rankdata(scores)[positives].sum() - positives.sum() * (positives.sum() + 1) / 2
    return float(above / (positives.sum() * (~positives).sum()))


def ndcg(ranked: list[str], gains: dict[str, float]) -> float:
    """Normalised discounted cumulative gain of the first ten (Järvelin, Kekäläinen 2002), gains as they are."""
    discounts = 1 / np.log2(np.arange(CUT) + 2)
    found = np.array([gains.get(document, 0) for document in ranked[:CUT]])
    best = np.array(sorted(gains.values(), reverse=True)[:CUT])
    return float((found * discounts[: len(found)]).sum() / (best * discounts[: len(best)]).sum())


def retrieval(model: StaticModel, folder: Path, split: str | None) -> float:
    """Mean nDCG@10 over the queries that have a relevant document."""
    gains: dict[str, dict[str, float]] = defaultdict(dict)
    left_out: dict[str, set[str]] = defaultdict(set)
    for row in read_rows(folder / "qrels.jsonl"):
        if split is not None and row["split"] != split:
            continue
        query, document = str(row["query"]), str(row["doc"])
        if row.get("code") == -1:
            left_out[query].add(document)
        elif row["grade"] > 0:
            gains[query][document] = float(row["grade"])
    documents = read_rows(folder / "corpus.jsonl")
    ids = np.array([str(row["id"]) for row in documents])
    texts = {str(row["id"]): str(row["text"]) for row in read_rows(folder / "queries.jsonl")}
    queries = sorted(gains)
    scores = (
        model.vectors([texts[query] for query in queries])
        @ model.vectors([f"{row['title']} {row['text']}" for row in documents]).T
    )
    total = 0.0
    for query, row_scores in zip(queries, scores, strict=True):
        ranked = [i for i in ids[np.argsort(-row_scores, kind="stable")] if i not in left_out[query]]
        total += ndcg(ranked, gains[query])
    return total / len(queries)


def evaluate(model: StaticModel, data: Path) -> dict[str, float]:
    likeness = read_rows(data / "stsb/dev.jsonl")
    scores = np.array([row["score"] for row in likeness], np.float64)
    figures = {"STS-B Spearman": float(spearmanr(pair_cosines(model, likeness), scores).statistic)}
    for name, file in (("QQP", "qqp_dev"), ("MQP", "mqp")):
        pairs = read_rows(data / f"pairs/{file}.jsonl")
        labels = np.array([row["label"] for row in pairs])
        figures[f"{name} area under the curve"] = area_under_curve(pair_cosines(model, pairs), labels)
    figures["SciFact nDCG@10 alone"] = retrieval(model, data / "scifact", "dev")
    figures["Cranfield nDCG@10 alone"] = retrieval(model, data / "cranfield", None)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m static_model.evaluate", description="Measures models' folders.")
    parser.add_argument("folders", type=Path, nargs="+", help="folders with manifest.json, the first to compare with")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data")
    parser.add_argument("--teacher", type=Path, help="folder with tokenizer.json; default: the installed package's")
    given = parser.parse_args()
    reader = PieceReader(teacher_folder(given.teacher) / "tokenizer.json")
    figures = [evaluate(StaticModel(read_model(folder), reader), given.data) for folder in given.folders]
    for name in figures[0]:
        print(f"{name:26}" + "".join(f"{column[name]:10.4f}" for column in figures))


if __name__ == "__main__":
    main()
