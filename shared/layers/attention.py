"""Attention of a decoder to an encoded source, on the standard layers of Keras.

For each query q (an output of the decoder), attention returns a weighted mean of the values v_j (the outputs of the encoder). The
weights are the softmax of scores over the valid time steps j of the source:

    additive (Bahdanau et al., 2015)    score(q, v_j) = w . tanh(A q + B v_j + b)
    general  (Luong et al., 2015)       score(q, v_j) = q . B v_j
    dot      (Luong et al., 2015)       score(q, v_j) = q . v_j
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

Tensor = Any
Score = Literal["additive", "general", "dot"]


class CrossAttention:
    """Attention from queries to a source. All models that call the same object share its weights.

    The product B v_j depends only on the source: `keys` computes it once, and every step of the decoder uses it.

    Example:

        attention = CrossAttention("additive", 64)
        context, weights = attention.attend(queries, values, attention.keys(values), mask)

    Args:
        score: the score function (see the module).
        units: size of the keys. For "general" and "dot", it must be the size of the queries.
        dropout: dropout rate of the weights in training, in [0, 1).
        name: prefix of the layer names.

    Raises:
        ValueError: the score function does not exist.
    """

    def __init__(self, score: Score, units: int, dropout: float = 0.0, name: str = "attention") -> None:
        if score not in ("additive", "general", "dot"):
            raise ValueError(f'score must be "additive", "general" or "dot". Received: {score!r}')
        self.score, self.units, self.name = score, units, name
        self.layers: dict[str, keras.layers.Layer] = {}
        if score == "additive":
            self.layers["query"] = keras.layers.Dense(units, name=f"{name}_query")
            self.layers["weights"] = keras.layers.AdditiveAttention(dropout=dropout, name=f"{name}_weights")
        else:
            self.layers["weights"] = keras.layers.Attention(dropout=dropout, name=f"{name}_weights")
        if score != "dot":
            self.layers["key"] = keras.layers.Dense(units, use_bias=False, name=f"{name}_key")

    def keys(self, values: Tensor) -> Tensor:
        """Returns the keys of a source, float `(batch, source time, units)`.

        Args:
            values: outputs of the encoder, float `(batch, source time, size)`.

        Raises:
            ValueError: the score function is "dot", and the size of the values is not `units`.
        """
        if self.score == "dot":
            self._require_units("values", values)
            return values
        return self.layers["key"](values)

    def attend(self, queries: Tensor, values: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the context of each query, and its weights.

        Args:
            queries: outputs of the decoder, float `(batch, time, query size)`.
            values: outputs of the encoder, float `(batch, source time, size)`, finite also at padded steps.
            keys: result of `keys` for these values.
            mask: boolean `(batch, source time)`, True at valid time steps; each row needs at least one.

        Returns:
            The contexts, float `(batch, time, size)`, and the weights, float `(batch, time, source time)`: their sum over the source
            is 1, and they are 0 at padded steps.

        Raises:
            ValueError: the score function is "general" or "dot", and the size of the queries is not `units`.
        """
        if self.score == "additive":
            queries = self.layers["query"](queries)
        else:
            self._require_units("queries", queries)
        return self.layers["weights"]([queries, values, keys], mask=[None, mask], return_attention_scores=True)

    def attend_once(self, query: Tensor, values: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the context `(batch, size)` and the weights `(batch, source time)` of one query `(batch, query size)` per row.

        The arguments are those of `attend` otherwise.
        """
        context, weights = self.attend(ops.expand_dims(query, 1), values, keys, mask)
        return ops.squeeze(context, 1), ops.squeeze(weights, 1)

    def reuse_layers(self, model: keras.Model) -> None:
        """Replaces the layers by those of a model with the same names, such as a model that was loaded from a file.

        Raises:
            ValueError: the model lacks one of the layers.
        """
        self.layers = {part: model.get_layer(layer.name) for part, layer in self.layers.items()}

    def _require_units(self, name: str, tensor: Tensor) -> None:
        if tensor.shape[-1] != self.units:
            raise ValueError(
                f'The score "{self.score}" needs {name} of size units={self.units}. Received: size {tensor.shape[-1]}'
            )
