"""The cells of the `lstm_speed` benchmark: one input shape in one mode, as a function for Keras or for PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01


@dataclass(frozen=True)
class Cell:
    """One row of the table: a shape and a mode."""

    mode: str
    """`training`: one gradient step on the last output. `inference`: the outputs at all time steps."""
    batch: int
    """Sequences per batch."""
    time: int
    """Time steps per sequence."""
    features: int
    """Input features per time step."""
    units: int
    """LSTM units, in each direction."""
    bidirectional: bool
    """Whether the layer reads the sequence in both directions."""


def keras_function(cell: Cell, threads: int) -> Callable[[], object]:
    """Returns a function that runs one repetition of `cell` with `LSTMStack` on `threads` CPU threads."""
    import keras
    import numpy as np
    import tensorflow as tf

    from shared.config import BidirectionalLSTMConfig
    from shared.layers.lstm import LSTMStack

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(cell.batch, cell.time, cell.features)).astype("float32"))
    y = tf.constant(rng.integers(0, 2, (cell.batch, 1)).astype("float32"))
    stack = LSTMStack(BidirectionalLSTMConfig(units=(cell.units,), bidirectional=cell.bidirectional))
    inputs = keras.Input((None, cell.features))
    if cell.mode == "inference":
        model = keras.Model(inputs, stack.sequence(inputs))
        compiled = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
        return lambda: compiled(x).numpy()
    model = keras.Model(inputs, keras.layers.Dense(1)(stack.last(inputs)))
    model.compile(
        keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return lambda: model.train_on_batch(x, y)


def torch_function(cell: Cell, threads: int) -> Callable[[], object]:
    """Returns a function that runs one repetition of `cell` with `torch.nn.LSTM` on `threads` CPU threads."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = torch.randn(cell.batch, cell.time, cell.features)
    y = torch.randint(0, 2, (cell.batch, 1)).float()
    lstm = torch.nn.LSTM(cell.features, cell.units, batch_first=True, bidirectional=cell.bidirectional)
    head = torch.nn.Linear(cell.units * (2 if cell.bidirectional else 1), 1)
    loss_function = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW([*lstm.parameters(), *head.parameters()], LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    @torch.inference_mode()
    def infer() -> object:
        return lstm(x)[0].numpy()

    def train() -> float:
        optimizer.zero_grad()
        _, (h, _) = lstm(x)  # (directions, batch, units)
        loss = loss_function(head(torch.cat(list(h), dim=-1)), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return infer if cell.mode == "inference" else train
