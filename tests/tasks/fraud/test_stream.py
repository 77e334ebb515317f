"""A streamed file is scored like the whole history, and the memory does not grow with its length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared.errors import DataError
from tasks.fraud.config import ColumnsConfig
from tasks.fraud.serving import export_spec
from tasks.fraud.stream import INITIAL_CARDS, States, score_stream, stream_batches
from tasks.fraud.transaction_index import build_transaction_index
from tests.tasks.fraud.conftest import compute_logits

COLUMNS = ColumnsConfig(card="card", time="time", amount="amount", label="fraud", terminal="terminal")


@pytest.fixture
def config(config):
    return dataclasses.replace(config, columns=COLUMNS)


@pytest.fixture
def step(builder, metadata):
    """The `step` signature of the exported model as a function of arrays."""
    metadata |= {"threshold": 0.4, "terminal_history_length": builder.config.features.terminal_history_length}
    signature = export_spec(builder.full_model((1.0, 0.0)), metadata).signatures["step"]

    def call(request):
        outputs = signature.function(**{name: tf.constant(value) for name, value in request.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return call


@pytest.fixture
def file(frame, tmp_path):
    path = tmp_path / "transactions.parquet"
    frame.to_parquet(path)
    return str(path)


def expected_probabilities(frame, builder, metadata):
    """Returns the probabilities of all rows from the whole histories, in the order of the table."""
    index = build_transaction_index(frame, metadata["label_delay_days"])
    logits = compute_logits(builder.submodels, index, np.ones(len(frame), bool))
    probabilities = np.empty(len(frame))
    probabilities[index.order] = 1 / (1 + np.exp(-logits))
    return probabilities


@pytest.mark.parametrize("size", [7, 100])
def test_a_stream_is_scored_like_the_whole_history(builder, metadata, step, config, frame, file, size):
    batches = stream_batches(config, file, size)
    scores = list(score_stream(batches, step, metadata, builder.state_size))
    probabilities = np.concatenate([batch["fraud_probability"] for batch in scores])
    np.testing.assert_allclose(probabilities, expected_probabilities(frame, builder, metadata), atol=1e-5)
    assert len(scores) == -(-len(frame) // size)


def test_the_states_do_not_grow_with_the_number_of_transactions(metadata, builder):
    states = States(metadata | {"terminal_history_length": 4}, builder.state_size)
    day = 86_400
    for k in range(30):
        batch = {
            "time": np.arange(50) * 600 + k * day,
            "terminal": np.array(["a", "b"] * 25, object),
            "amount": np.ones(50, np.float32),
            "fraud": np.zeros(50, np.int8),
        }
        states.terminal_fields(batch)
        states.card_ids(np.array(["x", "y"], object))
    assert len(states._unlabelled) <= 50 * 8
    assert {name: len(history) for name, history in states._histories.items()} == {"a": 4, "b": 4}
    assert len(states.card_time) == INITIAL_CARDS


def test_the_table_of_states_grows_with_the_cards_and_keeps_their_states(metadata, builder):
    states = States(metadata | {"terminal_history_length": 4}, builder.state_size)
    states.card_state[states.card_ids(np.array(["first"], object))] = 5.0
    states.card_ids(np.array([f"card {k}" for k in range(500)], object))
    assert (states.card_state[states.card_ids(np.array(["first"], object))] == 5.0).all()
    assert not states.card_state[states.card_ids(np.array(["card 400"], object))].any()


def test_a_file_that_is_not_in_time_order_raises_an_error(builder, metadata, step, config, frame, tmp_path):
    frame.iloc[::-1].to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    with pytest.raises(DataError, match="Sort the file by time"):
        list(score_stream(batches, step, metadata, builder.state_size))


def test_a_file_in_another_format_or_without_a_column_raises_an_error(config, tmp_path):
    config = dataclasses.replace(config, columns=ColumnsConfig())
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(DataError, match="Convert it to a Parquet file"):
        stream_batches(config, str(tmp_path / "a.parquet"), 10)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r'no column "CUSTOMER_ID".*--columns\.card'):
        stream_batches(config, str(tmp_path / "b.parquet"), 10)


def test_an_invalid_value_within_the_stream_raises_an_error_with_its_row(
    builder, metadata, step, config, frame, tmp_path
):
    frame["amount"] = frame["amount"].astype(float)
    frame.loc[25, "amount"] = np.nan
    frame.to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    with pytest.raises(DataError, match=r'counted from row 21, row 6: column "amount"'):
        list(score_stream(batches, step, metadata, builder.state_size))


def test_a_stream_without_labels_is_scored_with_empty_terminal_histories(
    builder, metadata, step, config, frame, tmp_path
):
    frame.drop(columns="fraud").to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    scores = list(score_stream(batches, step, metadata, builder.state_size))
    probabilities = np.concatenate([batch["fraud_probability"] for batch in scores])
    unlabelled = frame.assign(fraud=np.int8(-1))
    np.testing.assert_allclose(probabilities, expected_probabilities(unlabelled, builder, metadata), atol=1e-5)
