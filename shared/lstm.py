"""One stack of stock LSTM layers, used three ways from the same weights: whole sequence, last state, one step.

Only `keras.layers` and `keras.ops` are used, so a model built here trains on every Keras backend and opens with plain
`keras.models.load_model`. The recurrence is Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000):

    i, f, g, o = split(x W + h U + b)        h' = sigmoid(o) tanh(c')        c' = sigmoid(f) c + sigmoid(i) tanh(g)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from shared.config import LSTMConfig

Tensor = Any
State = tuple[Tensor, Tensor]  # hidden and cell state, each (batch, units)


class LSTMStack:
    """Layers of LSTM with normalisation, residual connections and dropout between them.

    Build one, then call `sequence`, `last` or `step` in as many functional models as needed: all share the weights.

    Example:

        stack = LSTMStack(LSTMConfig(units=(64, 64)))
        x = keras.Input((None, 16))
        whole = keras.Model(x, stack.sequence(x))
        x_t, states = keras.Input((16,)), stack.state_inputs()
        stepwise = keras.Model([x_t, *states], stack.step(x_t, stack.pair_states(states)))

    Args:
        config: sizes and regularisation.
        name: prefix of the layers' names.
    """

    def __init__(self, config: LSTMConfig, name: str = "lstm") -> None:
        self.config = config
        self.name = name
        count = len(config.units)
        self.recurrent = [self._recurrent_layer(units, f"{name}_{k}") for k, units in enumerate(config.units)]
        self.normalization = [
            keras.layers.LayerNormalization(name=f"{name}_{k}_norm") if config.layer_normalization else None
            for k in range(count)
        ]
        self.dropout = [
            keras.layers.Dropout(config.dropout, name=f"{name}_{k}_dropout")
            if config.dropout and k + 1 < count
            else None
            for k in range(count)
        ]

    @property
    def output_size(self) -> int:
        """Width of the last axis of the stack's output."""
        return self.config.units[-1] * (2 if self.config.bidirectional else 1)

    def sequence(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Runs over whole sequences.

        Args:
            inputs: float tensor `(batch, time, features)`.
            mask: boolean tensor `(batch, time)`, True at real steps. Pad on the right: only then do padding and
                batch mates change nothing.

        Returns:
            Float tensor `(batch, time, output_size)`; its values at padded steps mean nothing.
        """
        return self._run(inputs, None, mask)[0]

    def last(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Summarises each sequence by the output at its last real step `(batch, output_size)`.

        Of a bidirectional stack the backward half comes from the first step, where it has read everything.
        Arguments as for `sequence`.
        """
        outputs = self.sequence(inputs, mask=mask)  # (batch, time, output_size)
        final = outputs[:, -1] if mask is None else gather_last_step(outputs, mask)
        if not self.config.bidirectional:
            return final
        units = self.config.units[-1]
        return ops.concatenate([final[:, :units], outputs[:, 0, units:]], axis=-1)

    def sequence_with_states(
        self, inputs: Tensor, states: Sequence[State] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Runs over whole sequences from given states, and returns the states after the last real step too.

        Args:
            inputs: float tensor `(batch, time, features)`.
            states: a pair (hidden, cell) of `(batch, units)` for each layer; zeros when left out.
            mask: as for `sequence`.

        Raises:
            ValueError: the stack is bidirectional, which has no place to take up from.
        """
        self._require_causal("take up from states")
        return self._run(inputs, states, mask)

    def _run(self, inputs: Tensor, states: Sequence[State] | None, mask: Tensor | None) -> tuple[Tensor, list[State]]:
        after: list[State] = []
        hidden = inputs
        for k, layer in enumerate(self.recurrent):
            outputs, *last = layer(hidden, mask=mask, initial_state=None if states is None else list(states[k]))
            after.append((last[0], last[1]))
            hidden = self._between(k, outputs, hidden)
        return hidden, after

    def step(self, inputs: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """Advances by one time step at constant cost; repeated, it equals `sequence`. For inference: the recurrent
        dropout of training, one mask for a whole sequence, has no meaning here and is left out.

        Args:
            inputs: float tensor `(batch, features)`.
            states: a pair (hidden, cell) of `(batch, units)` for each layer, zeros at the start of a sequence.

        Returns:
            The output `(batch, output_size)` and the states to hand to the next call.

        Raises:
            ValueError: the stack is bidirectional.
        """
        self._require_causal("run step by step")
        after: list[State] = []
        hidden = inputs
        for k, layer in enumerate(self.recurrent):
            if not layer.built:
                layer.build((None, None, hidden.shape[-1]))
            outputs, (h, c) = layer.cell(hidden, list(states[k]), training=False)
            after.append((h, c))
            hidden = self._between(k, outputs, hidden)
        return hidden, after

    def state_inputs(self) -> list[Tensor]:
        """Returns symbolic inputs for `step`: hidden, then cell state of each layer, each `(batch, units)`.

        Raises:
            ValueError: the stack is bidirectional.
        """
        self._require_causal("run step by step")
        return [
            keras.Input((units,), name=f"{self.name}_{k}_{part}")
            for k, units in enumerate(self.config.units)
            for part in ("hidden", "cell")
        ]

    def unpack_states(self, memory: Tensor) -> list[State]:
        """Returns the states that `packed` has laid side by side, of `(batch, 2 x all units)`."""
        sizes = [units for units in self.config.units for _ in range(2)]
        ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
        return self.pair_states([memory[:, end - size : end] for end, size in zip(ends, sizes, strict=True)])

    @staticmethod
    def pack_states(states: Sequence[State]) -> Tensor:
        """Lays hidden and cell state of each layer side by side, `(batch, 2 x all units)`."""
        return ops.concatenate([value for pair in states for value in pair], axis=-1)

    @staticmethod
    def pair_states(flat: Sequence[Tensor]) -> list[State]:
        """Groups hidden, cell, hidden, cell … (as `state_inputs` returns them) into a pair for each layer."""
        return [(flat[k], flat[k + 1]) for k in range(0, len(flat), 2)]

    def _recurrent_layer(self, units: int, name: str) -> keras.layers.Layer:
        layer = keras.layers.LSTM(
            units,
            return_sequences=True,
            return_state=True,
            recurrent_dropout=self.config.recurrent_dropout,
            name=name,
        )
        layer.cell.name = f"{name}_step"  # `step` calls the cells by themselves, and a model needs distinct names
        return keras.layers.Bidirectional(layer, name=name) if self.config.bidirectional else layer

    def _between(self, k: int, outputs: Tensor, inputs: Tensor) -> Tensor:
        """What stands between layer k and the next: residual, normalisation, dropout."""
        if self.config.residual and k > 0:
            outputs = outputs + inputs
        normalization, dropout = self.normalization[k], self.dropout[k]
        if normalization is not None:
            outputs = normalization(outputs)
        return outputs if dropout is None else dropout(outputs)

    def _require_causal(self, what: str) -> None:
        if self.config.bidirectional:
            raise ValueError(
                f"A bidirectional stack cannot {what}: it needs the whole sequence. Use bidirectional=False."
            )


def masked_mean(sequence: Tensor, mask: Tensor) -> Tensor:
    """Averages `(batch, time, features)` over the steps where `mask` `(batch, time)` is True; each row needs one."""
    weight = ops.expand_dims(ops.cast(mask, sequence.dtype), -1)
    return ops.sum(sequence * weight, axis=1) / ops.sum(weight, axis=1)


def masked_max(sequence: Tensor, mask: Tensor) -> Tensor:
    """Maximum of `(batch, time, features)` over the steps where `mask` `(batch, time)` is True.

    `GlobalMaxPooling1D` drops the mask, so padding would count. LSTM outputs without residual connections lie in
    (-1, 1); lowering padded steps by 1e4 keeps them out, in half precision too.
    """
    weight = ops.expand_dims(ops.cast(mask, sequence.dtype), -1)
    return ops.max(sequence - (1.0 - weight) * 1e4, axis=1)


def disable_cudnn(model: keras.Model) -> None:
    """Makes every LSTM of `model` use the portable kernel, so that an export runs where there is no GPU.

    `use_cudnn` is no part of a layer's configuration, so a loaded model has lost it: it is set on the live layers.
    """
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.layers.LSTM):
            layer.use_cudnn = False


def gather_last_step(outputs: Tensor, mask: Tensor) -> Tensor:
    """Picks `outputs` `(batch, time, features)` at the last True of a right-padded `mask` `(batch, time)`."""
    real = ops.cast(mask, outputs.dtype)
    following = ops.pad(real, [[0, 0], [0, 1]])[:, 1:]
    return ops.sum(outputs * ops.expand_dims(real - following, -1), axis=1)
