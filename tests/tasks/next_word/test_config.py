"""Settings that cannot work are refused, with what was received."""

from __future__ import annotations

import pytest

from shared.config import LSTMConfig
from tasks.next_word.config import ModelConfig, NextWordConfig, TextConfig


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TextConfig, {"vocabulary_size": 0}),
        (TextConfig, {"fewest": 0}),
        (ModelConfig, {"embedding_size": 1}),
        (ModelConfig, {"stretch": 0}),
        (ModelConfig, {"negatives": -1}),
        (ModelConfig, {"output_dropout": 1.0}),
        (NextWordConfig, {"lstm": LSTMConfig(bidirectional=True)}),
        (NextWordConfig, {"group_column": "author"}),
    ],
)
def test_what_cannot_be_is_refused(kind, values):
    with pytest.raises(ValueError, match="Received"):
        kind(**values)
