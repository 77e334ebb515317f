"""A file scored as it comes says what the whole history says, and what is kept does not grow with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared.errors import DataError
from tasks.fraud import stream
from tasks.fraud.batches import score
from tasks.fraud.config import ColumnsConfig
from tasks.fraud.serving import export_spec
from tasks.fraud.transaction_index import build_transaction_index

COLUMNS = ColumnsConfig(card="card", time="time", amount="amount", label="fraud", terminal="terminal")


@pytest.fixture
def served(views, metadata):
    metadata |= {"threshold": 0.4, "reports": views.config.memory.reports}
    signature = export_spec(views.whole((1.0, 0.0)), metadata).signatures["step"]

    def step(request):
        answer = signature.function(**{name: tf.constant(value) for name, value in request.items()})
        return {name: value.numpy() for name, value in answer.items()}

    return step


@pytest.fixture
def file(frame, tmp_path):
    path = tmp_path / "transactions.parquet"
    frame.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("size", [7, 100])
def test_scores_of_a_stream_are_those_of_the_whole_history(views, metadata, served, config, frame, file, size):
    config = dataclasses.replace(config, columns=COLUMNS)
    answers = list(stream.score_stream(stream.batches(config, file, size), served, metadata, views.state_size))
    probabilities = np.concatenate([answer["fraud_probability"] for answer in answers])
    ledger = build_transaction_index(frame, metadata["delay_days"])
    expected = np.empty(len(frame))
    expected[ledger.order] = 1 / (1 + np.exp(-score(views.parts, ledger, np.ones(len(frame), bool))))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert len(answers) == -(-len(frame) // size)


def test_what_is_kept_does_not_grow_with_the_transactions_read(metadata, views, served, frame):
    states = stream.States(metadata | {"reports": 4}, views.state_size)
    day = 86_400
    for k in range(30):
        batch = {
            "time": np.arange(50) * 600 + k * day,
            "terminal": np.array(["a", "b"] * 25, object),
            "amount": np.ones(50, np.float32),
            "fraud": np.zeros(50, np.int8),
        }
        states.terminal_fields(batch)
        states.cards(np.array(["x", "y"], object))
    assert len(states._awaited) <= 50 * 8
    assert {name: len(kept) for name, kept in states._confirmed.items()} == {"a": 4, "b": 4}
    assert len(states.card_time) == stream.FEWEST


def test_cards_beyond_the_first_table_get_room_and_keep_their_states(metadata, views):
    states = stream.States(metadata | {"reports": 4}, views.state_size)
    states.card_state[states.cards(np.array(["first"], object))] = 5.0
    states.cards(np.array([f"card {k}" for k in range(500)], object))
    assert (states.card_state[states.cards(np.array(["first"], object))] == 5.0).all()
    assert not states.card_state[states.cards(np.array(["card 400"], object))].any()


def test_a_file_that_is_not_in_time_order_is_told(views, metadata, served, config, frame, tmp_path):
    frame.iloc[::-1].to_parquet(tmp_path / "b.parquet")
    config = dataclasses.replace(config, columns=COLUMNS)
    answers = stream.score_stream(
        stream.batches(config, str(tmp_path / "b.parquet"), 10), served, metadata, views.state_size
    )
    with pytest.raises(DataError, match="Sort the file by time"):
        list(answers)


def test_what_is_no_parquet_file_or_lacks_a_column_is_told(config, tmp_path, frame):
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(DataError, match="Give a Parquet file"):
        stream.batches(config, str(tmp_path / "a.parquet"), 10)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match='no column "CUSTOMER_ID"'):
        stream.batches(config, str(tmp_path / "b.parquet"), 10)


def test_a_value_that_cannot_be_used_is_told_from_within_the_stream(views, metadata, served, config, frame, tmp_path):
    frame["amount"] = frame["amount"].astype(float)
    frame.loc[25, "amount"] = np.nan
    frame.to_parquet(tmp_path / "b.parquet")
    config = dataclasses.replace(config, columns=COLUMNS)
    answers = stream.score_stream(
        stream.batches(config, str(tmp_path / "b.parquet"), 10), served, metadata, views.state_size
    )
    with pytest.raises(DataError, match=r'counted from row 21, row 6: column "amount"'):
        list(answers)


def test_a_stream_without_labels_is_scored_and_nothing_is_confirmed(views, metadata, served, config, frame, tmp_path):
    frame.drop(columns="fraud").to_parquet(tmp_path / "b.parquet")
    config = dataclasses.replace(config, columns=COLUMNS)
    answers = stream.score_stream(
        stream.batches(config, str(tmp_path / "b.parquet"), 10), served, metadata, views.state_size
    )
    probabilities = np.concatenate([answer["fraud_probability"] for answer in answers])
    ledger = build_transaction_index(frame.assign(fraud=np.int8(-1)), metadata["delay_days"])
    expected = np.empty(len(frame))
    expected[ledger.order] = 1 / (1 + np.exp(-score(views.parts, ledger, np.ones(len(frame), bool))))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
