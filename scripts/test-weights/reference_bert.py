"""all-MiniLM-L6-v2 by the book, in float64 numpy: shares nothing with the graphs but the weights.

Devlin et al., "BERT", NAACL 2019; mean pooling and unit length as Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
"""

import base64
from math import erf

import numpy as np
from tokenizers import Tokenizer

MAX_TOKENS = 256
HEADS = 12

_erf = np.vectorize(erf)


def _norm(x, w, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def _dense(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _attend(x, w, name):
    length, width = x.shape
    q, k, v = (
        _dense(x, w, f"{name}.{part}").reshape(length, HEADS, width // HEADS).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    )
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(width // HEADS)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return ((scores / scores.sum(-1, keepdims=True)) @ v).transpose(1, 0, 2).reshape(length, width)


def sentence_vector(w, ids):
    """Unit vector of one text, [384]; `ids` include [CLS] and [SEP]."""
    words = w["embeddings.word_embeddings.weight"][ids]
    positions = w["embeddings.position_embeddings.weight"][: len(ids)]
    x = _norm(words + positions + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in w:
        p = f"encoder.layer.{layer}."
        heads = _dense(_attend(x, w, p + "attention.self"), w, p + "attention.output.dense")
        x = _norm(x + heads, w, p + "attention.output.LayerNorm")
        wide = _dense(x, w, p + "intermediate.dense")
        wide = wide * 0.5 * (1 + _erf(wide / np.sqrt(2)))
        x = _norm(x + _dense(wide, w, p + "output.dense"), w, p + "output.LayerNorm")
        layer += 1
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def embed(w, tokenizer_file, texts):
    """Token ids and unit vector (float32, little-endian, Base64) of each text."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    w = {name: values.astype(np.float64) for name, values in w.items()}
    answers = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        vector = sentence_vector(w, ids).astype("<f4")
        answers.append({"text": text, "ids": ids, "vector": base64.b64encode(vector.tobytes()).decode()})
    return answers
