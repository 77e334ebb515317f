"""A stack of Keras LSTM layers that runs over a whole sequence, to its last output, or one step at a time, with the same weights.

The stack uses only `keras.layers` and `keras.ops`, so its models train on every Keras backend and open with
`keras.models.load_model` alone. The recurrence is that of Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al.
(2000):

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
    """LSTM layers with layer normalization, residual connections and dropout.

    Build one stack, then call `sequence`, `last` or `step` in any number of functional models: they all share the weights.

    Example:

        stack = LSTMStack(LSTMConfig(units=(64, 64)))
        x = keras.Input((None, 16))
        sequence_model = keras.Model(x, stack.sequence(x))
        x_t, states = keras.Input((16,)), stack.state_inputs()
        step_model = keras.Model([x_t, *states], stack.step(x_t, stack.pair_states(states)))

    Args:
        config: number of units of each layer, and regularization.
        name: prefix of the layer names.
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
        """Size of the last axis of the output: the units of the last layer, doubled if the stack is bidirectional."""
        return self.config.units[-1] * (2 if self.config.is_bidirectional else 1)

    def sequence(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Runs the stack over whole sequences.

        Args:
            inputs: float tensor `(batch, time, features)`.
            mask: boolean tensor `(batch, time)`, True at valid time steps; None if all are valid. Pad on the right: only then
                is the output of a sequence independent of its padding and of the rest of the batch.

        Returns:
            Float tensor `(batch, time, output_size)`; its values at padded steps are undefined.
        """
        return self._run(inputs, None, mask)[0]

    def last(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the output at the last valid time step of each sequence, float `(batch, output_size)`.

        The backward half of a bidirectional stack is taken from the first time step, where it has read the whole sequence.

        Args:
            inputs: as for `sequence`.
            mask: as for `sequence`; each row needs at least one valid time step.
        """
        outputs = self.sequence(inputs, mask=mask)  # (batch, time, output_size)
        final = outputs[:, -1] if mask is None else gather_last_step(outputs, mask)
        if not self.config.is_bidirectional:
            return final
        units = self.config.units[-1]
        return ops.concatenate([final[:, :units], outputs[:, 0, units:]], axis=-1)

    def sequence_with_states(
        self, inputs: Tensor, states: Sequence[State] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Runs the stack over sequences from initial states.

        Args:
            inputs: float tensor `(batch, time, features)`.
            states: initial states, a pair (hidden, cell) of `(batch, units)` for each layer; zeros if None.
            mask: as for `sequence`.

        Returns:
            The output `(batch, time, output_size)`, and the states after the last valid time step, in the form of `states`.

        Raises:
            ValueError: the stack is bidirectional; it has no state between two parts of a sequence.
        """
        self._require_causal("start from states")
        return self._run(inputs, states, mask)

    def sequence_with_final_states(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, list[State]]:
        """Runs the stack over whole sequences, as an encoder does.

        Args:
            inputs: float tensor `(batch, time, features)`.
            mask: as for `sequence`; each row needs at least one valid time step.

        Returns:
            The output `(batch, time, output_size)`, and a pair (hidden, cell) for each layer, after the last valid time step,
            `(batch, units)`. If the stack is bidirectional, `(batch, 2 x units)`: the states of the backward half, which has
            read the sequence from its end to its start, follow those of the forward half.
        """
        return self._run(inputs, None, mask)

    def _run(self, inputs: Tensor, states: Sequence[State] | None, mask: Tensor | None) -> tuple[Tensor, list[State]]:
        final_states: list[State] = []
        hidden = inputs
        for k, layer in enumerate(self.recurrent):
            outputs, *last = layer(hidden, mask=mask, initial_state=None if states is None else list(states[k]))
            if self.config.is_bidirectional:
                h, c, backward_h, backward_c = last
                last = [ops.concatenate([h, backward_h], axis=-1), ops.concatenate([c, backward_c], axis=-1)]
            final_states.append((last[0], last[1]))
            hidden = self._connect(k, outputs, hidden)
        return hidden, final_states

    def step(self, inputs: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """Runs the stack for one time step, at constant cost. Repeated calls give the same outputs as `sequence`.

        It is for inference: the cells run without recurrent dropout, which uses one mask for a whole sequence in training.

        Args:
            inputs: float tensor `(batch, features)`.
            states: a pair (hidden, cell) of `(batch, units)` for each layer; zeros at the start of a sequence.

        Returns:
            The output `(batch, output_size)`, and the states for the next call, in the form of `states`.

        Raises:
            ValueError: the stack is bidirectional.
        """
        self._require_causal("run step by step")
        next_states: list[State] = []
        hidden = inputs
        for k, layer in enumerate(self.recurrent):
            if not layer.built:
                layer.build((None, None, hidden.shape[-1]))
            outputs, (h, c) = layer.cell(hidden, list(states[k]), training=False)
            next_states.append((h, c))
            hidden = self._connect(k, outputs, hidden)
        return hidden, next_states

    def state_inputs(self) -> list[Tensor]:
        """Returns symbolic inputs for `step`: for each layer the hidden state, then the cell state, each `(batch, units)`.

        Raises:
            ValueError: the stack is bidirectional.
        """
        self._require_causal("run step by step")
        return [
            keras.Input((units,), name=f"{self.name}_{k}_{part}")
            for k, units in enumerate(self.config.units)
            for part in ("hidden", "cell")
        ]

    def unpack_states(self, packed: Tensor) -> list[State]:
        """Splits the result of `pack_states`, `(batch, 2 x total units)`, into a pair (hidden, cell) for each layer."""
        sizes = [units for units in self.config.units for _ in range(2)]
        ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
        return self.pair_states([packed[:, end - size : end] for end, size in zip(ends, sizes, strict=True)])

    @staticmethod
    def pack_states(states: Sequence[State]) -> Tensor:
        """Concatenates the hidden and cell states of all layers to one tensor `(batch, 2 x total units)`."""
        return ops.concatenate([value for pair in states for value in pair], axis=-1)

    @staticmethod
    def pair_states(flat: Sequence[Tensor]) -> list[State]:
        """Groups hidden, cell, hidden, cell … (in the order of `state_inputs`) into a pair (hidden, cell) for each layer."""
        return [(flat[k], flat[k + 1]) for k in range(0, len(flat), 2)]

    def reuse_layers(self, model: keras.Model) -> None:
        """Replaces the layers by those of a model with the same names, such as a model that was loaded from a file.

        Raises:
            ValueError: the model lacks one of the layers.
        """
        self.recurrent = [model.get_layer(layer.name) for layer in self.recurrent]
        self.normalization = [layer and model.get_layer(layer.name) for layer in self.normalization]
        self.dropout = [layer and model.get_layer(layer.name) for layer in self.dropout]
        for layer in self.recurrent:
            if not self.config.is_bidirectional:
                layer.cell.name = f"{layer.name}_step"  # a file does not contain the name of the cell

    def _recurrent_layer(self, units: int, name: str) -> keras.layers.Layer:
        layer = keras.layers.LSTM(
            units,
            return_sequences=True,
            return_state=True,
            recurrent_dropout=self.config.recurrent_dropout,
            name=name,
        )
        layer.cell.name = f"{name}_step"  # `step` calls the cells directly, and the layer names of a model must differ
        return keras.layers.Bidirectional(layer, name=name) if self.config.is_bidirectional else layer

    def _connect(self, k: int, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Applies what follows layer k: residual connection, layer normalization, dropout."""
        if self.config.residual and k > 0:
            outputs = outputs + inputs
        normalization, dropout = self.normalization[k], self.dropout[k]
        if normalization is not None:
            outputs = normalization(outputs)
        return outputs if dropout is None else dropout(outputs)

    def _require_causal(self, action: str) -> None:
        if self.config.is_bidirectional:
            raise ValueError(
                f"A bidirectional stack cannot {action}: it needs the whole sequence. Use a unidirectional one."
            )


def masked_mean(sequence: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean over the valid time steps, float `(batch, features)`.

    Args:
        sequence: float `(batch, time, features)`.
        mask: boolean `(batch, time)`, True at valid time steps; each row needs at least one.
    """
    weight = ops.expand_dims(ops.cast(mask, sequence.dtype), -1)
    return ops.sum(sequence * weight, axis=1) / ops.sum(weight, axis=1)


def masked_max(sequence: Tensor, mask: Tensor) -> Tensor:
    """Returns the maximum over the valid time steps, float `(batch, features)`.

    `GlobalMaxPooling1D` ignores the mask, so padding would count. The values should be well below 5,000 in magnitude, as LSTM
    outputs are: padded steps are lowered by 1e4, which half precision can represent.

    Args:
        sequence: float `(batch, time, features)`.
        mask: boolean `(batch, time)`, True at valid time steps; each row needs at least one.
    """
    weight = ops.expand_dims(ops.cast(mask, sequence.dtype), -1)
    return ops.max(sequence - (1.0 - weight) * 1e4, axis=1)


def disable_cudnn(model: keras.Model) -> None:
    """Makes every LSTM layer of `model` use the portable kernel, so that an exported model also runs without a GPU.

    A saved model does not include `use_cudnn`, so this function sets it on the layers in memory: call it again after loading.
    """
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.layers.LSTM):
            layer.use_cudnn = False


def gather_last_step(outputs: Tensor, mask: Tensor) -> Tensor:
    """Returns the outputs at the last valid time step, `(batch, features)`.

    Args:
        outputs: float `(batch, time, features)`; the values at padded steps must be finite.
        mask: boolean `(batch, time)`, True at valid time steps; padding is on the right.
    """
    is_valid = ops.cast(mask, outputs.dtype)
    next_is_valid = ops.pad(is_valid, [[0, 0], [0, 1]])[:, 1:]
    return ops.sum(outputs * ops.expand_dims(is_valid - next_is_valid, -1), axis=1)
