"""An encoder and a decoder (Sutskever et al., 2014; Cho et al., 2014) over `LSTMStack`, joined by states and attention.

    source vectors ─ encoder ─┬─ final states ─ (bridge) ─ initial states of the decoder
                              └─ values, keys ─────────────┐
    target vectors ─ decoder ─ hidden ─ attention ─ tanh(W [context, hidden]) ─ outputs

The outputs are the attentional states of Luong et al. (2015), equation 5, without input feeding: the query of a step is the output
of the decoder at that step. The whole target can therefore run at once (teacher forcing), and `step` gives the same outputs.

The bridge is a dense layer, tanh(W s), as in Bahdanau et al. (2015), appendix A.2.2. It is absent if the encoder is unidirectional
and its layers have as many units as those of the decoder: the final states are then the initial states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from shared.config import LSTMConfig
from shared.layers.attention import CrossAttention
from shared.layers.lstm import LSTMStack, State

Tensor = Any


class Source(NamedTuple):
    """An encoded source; it is the same for all steps of the decoder."""

    values: Tensor
    """Outputs of the encoder, float `(batch, source time, encoder output size)`, 0 at padded steps."""
    keys: Tensor
    """Keys of the attention, float `(batch, source time, attention units)`."""
    mask: Tensor
    """Boolean `(batch, source time)`, True at valid time steps."""


class EncoderDecoder:
    """An encoder–decoder pair with attention. All models that its methods build share their weights.

    Vectors go in and out: the embedding of tokens, or the features of images or audio, come before it; the layer from outputs to
    logits comes after it. For a model file, put `encode` and `decode` into one functional model; `reuse_layers` of a new object then
    makes `step` use the weights of the loaded model.

    Example:

        pair = EncoderDecoder(BidirectionalLSTMConfig((64,), bidirectional=True), LSTMConfig((64,)), CrossAttention("additive", 64))
        source, states = pair.encode(source_vectors, source_mask)
        outputs, _ = pair.decode(target_vectors, source, states)
        training_model = keras.Model([source_vectors, source_mask, target_vectors], logits(outputs))
        x_t, source, states = keras.Input((size,)), pair.source_inputs(), pair.decoder.state_inputs()
        output, next_states = pair.step(x_t, source, pair.decoder.pair_states(states))
        step_model = keras.Model([x_t, *source, *states], [logits(output), *(part for state in next_states for part in state)])

    Args:
        encoder: units and regularization of the encoder; it may be bidirectional.
        decoder: units and regularization of the decoder.
        attention: attention from the decoder to the source.
        name: prefix of the layer names.

    Raises:
        ValueError: the decoder is bidirectional.
    """

    def __init__(self, encoder: LSTMConfig, decoder: LSTMConfig, attention: CrossAttention, name: str = "pair") -> None:
        if decoder.is_bidirectional:
            raise ValueError("The decoder must be unidirectional: it generates the target from its start to its end.")
        self.encoder, self.decoder = LSTMStack(encoder, f"{name}_encoder"), LSTMStack(decoder, f"{name}_decoder")
        self.attention = attention
        self.combination = keras.layers.Dense(self.decoder.output_size, activation="tanh", name=f"{name}_combination")
        self.bridge = None
        if encoder.is_bidirectional or encoder.units != decoder.units:
            self.bridge = keras.layers.Dense(2 * sum(decoder.units), activation="tanh", name=f"{name}_bridge")

    def encode(self, vectors: Tensor, mask: Tensor) -> tuple[Source, list[State]]:
        """Encodes a source.

        Args:
            vectors: float `(batch, source time, features)`.
            mask: boolean `(batch, source time)`, True at valid time steps; padding is on the right, each row needs at least one
                valid step. Padding changes neither the states nor what the decoder reads.

        Returns:
            The source for `decode` and `step`, and the initial states of the decoder, a pair (hidden, cell) of `(batch, units)` for
            each layer.
        """
        values, states = self.encoder.sequence_with_final_states(vectors, mask)
        if self.bridge is not None:
            states = self.decoder.unpack_states(self.bridge(self.encoder.pack_states(states)))
        values = values * ops.expand_dims(ops.cast(mask, values.dtype), -1)  # undefined at padded steps before
        return Source(values, self.attention.keys(values), mask), states

    def decode(self, vectors: Tensor, source: Source, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """Runs the decoder over whole targets (teacher forcing).

        Args:
            vectors: vectors of the tokens before each output, float `(batch, time, features)`: the start token comes first. Padding on
                the right changes only the outputs at padded steps.
            source: encoded source.
            states: initial states, from `encode` or from an earlier call.

        Returns:
            The outputs, float `(batch, time, units of the last decoder layer)`, and the states after the last step.
        """
        hidden, states = self.decoder.sequence_with_states(vectors, states)
        context, _ = self.attention.attend(hidden, *source)
        return self.combination(ops.concatenate([context, hidden], axis=-1)), states

    def step(self, vectors: Tensor, source: Source, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """Runs the decoder for one step, for inference, at constant cost. Repeated calls give the same outputs as `decode`.

        Args:
            vectors: vectors of the tokens before, float `(batch, features)`.
            source: encoded source.
            states: states from `encode` or from the call before.

        Returns:
            The output, float `(batch, units of the last decoder layer)`, and the states for the next call.
        """
        hidden, states = self.decoder.step(vectors, states)
        context, _ = self.attention.attend_once(hidden, *source)
        return self.combination(ops.concatenate([context, hidden], axis=-1)), states

    def source_inputs(self) -> Source:
        """Returns symbolic inputs for the source of `step`."""
        name = self.decoder.name
        keys_size = self.attention.units
        return Source(
            keras.Input((None, self.encoder.output_size), name=f"{name}_values"),
            keras.Input((None, keys_size), name=f"{name}_keys"),
            keras.Input((None,), dtype="bool", name=f"{name}_mask"),
        )

    def reuse_layers(self, model: keras.Model) -> None:
        """Replaces the layers by those of a model with the same names, such as a model that was loaded from a file.

        Raises:
            ValueError: the model lacks one of the layers.
        """
        for part in (self.encoder, self.decoder, self.attention):
            part.reuse_layers(model)
        self.combination = model.get_layer(self.combination.name)
        if self.bridge is not None:
            self.bridge = model.get_layer(self.bridge.name)
