"""A state store gives the scores of the whole history, survives a killed update, and never counts a transaction twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError, SuiteError
from shared.state import open_store
from shared.state.memory import MemoryStore
from shared.state.store import StateOptions
from tasks.fraud import serving, state, stream
from tasks.fraud.config import ColumnsConfig, PredictOptions
from tasks.fraud.inputs import READERS
from tests.tasks.fraud.conftest import expected_probabilities

COLUMNS = ColumnsConfig(card="card", time="time", amount="amount", label="fraud", terminal="terminal")


@pytest.fixture
def split(frame, tmp_path):
    """Writes the first 70 rows as past.csv, the last 30 as today.csv and unlabelled.csv without the labels of the past."""
    frame.iloc[:70].to_csv(tmp_path / "past.csv", index=False)
    frame.iloc[:70].drop(columns="fraud").to_csv(tmp_path / "unlabelled.csv", index=False)
    frame.iloc[70:].to_csv(tmp_path / "today.csv", index=False)
    return tmp_path


@pytest.fixture
def run(config, metadata, predictor, split):
    """Runs an action on a file and a store."""

    def call(action, name, store, **options):
        task_config = dataclasses.replace(config, columns=COLUMNS, data=str(split / name))
        state_options = StateOptions(**options)
        records = READERS.read_state(task_config, metadata, state_options)
        return getattr(state, action)(records, metadata, predictor, store, state_options)

    return call


@pytest.fixture
def read(config, metadata, split):
    """Reads a file for `predict` with its options."""

    def call(name, options):
        task_config = dataclasses.replace(config, columns=COLUMNS)
        (inputs,) = READERS.read_inputs(task_config, str(split / name), metadata, options)
        return inputs

    return call


@pytest.fixture
def predict(read, metadata, predictor):
    """Returns the probabilities of today.csv."""

    def call(name="today.csv", **options):
        options = PredictOptions(**options)
        inputs = read(name, options)
        outputs = serving.predict(inputs.records, metadata, predictor, options)
        if inputs.on_written is not None:
            inputs.on_written()
        return serving.prediction_table(inputs, outputs, metadata, options)["probability"].to_numpy()

    return call


@pytest.fixture
def expected(frame, builder, metadata):
    return expected_probabilities(frame, builder, metadata)[70:]


@pytest.mark.parametrize("batch", [8192, 9])
def test_a_store_gives_the_scores_of_the_whole_history(run, predict, expected, split, monkeypatch, batch):
    monkeypatch.setattr(stream, "ROWS_PER_BATCH", batch)
    place = str(split / "states.sqlite")
    assert run("update", "past.csv", open_store(place, "fraud", create=True))["transactions added"] == 70
    np.testing.assert_allclose(predict(store=place), expected, atol=1e-5)
    np.testing.assert_allclose(predict(store=place), expected, atol=1e-5)  # the store did not change


def test_labels_that_arrive_later_give_the_same_scores(run, predict, expected, split):
    place = str(split / "states.sqlite")
    store = open_store(place, "fraud", create=True)
    run("update", "unlabelled.csv", store)
    assert np.abs(predict(store=place) - expected).max() > 1e-4
    assert run("label", "past.csv", store) == {"labels added": 70, "labels changed": 0, "labels unchanged": 0}
    np.testing.assert_allclose(predict(store=place), expected, atol=1e-5)
    with pytest.raises(DataError, match=r"no transaction has a label.*--columns\.label"):
        run("label", "unlabelled.csv", store)


def test_a_corrected_label_replaces_the_earlier_one(run, frame, split):
    store = MemoryStore()
    run("update", "past.csv", store)
    corrected = frame.iloc[60:70].assign(fraud=lambda table: 1 - table["fraud"])
    corrected.to_csv(split / "corrected.csv", index=False)
    first, second = (run("label", "corrected.csv", store) for _ in range(2))
    assert first == {"labels added": 0, "labels changed": 10, "labels unchanged": 0}
    assert second == {"labels added": 0, "labels changed": 0, "labels unchanged": 10}


def test_the_same_file_again_changes_nothing_and_says_so(run, split):
    store = MemoryStore()
    run("update", "past.csv", store)
    before = {table: dict(values) for table, values in store.values.items()}
    with collect_notices() as notices:
        assert run("update", "past.csv", store)["transactions added"] == 0
    assert any("already has these transactions" in str(notice) for notice in notices)
    assert store.values == before


def test_a_killed_update_continues_where_it_ended(run, predict, expected, split, monkeypatch):
    monkeypatch.setattr(stream, "ROWS_PER_BATCH", 9)
    place = str(split / "states.sqlite")
    store = open_store(place, "fraud", create=True)
    commit, count = store.commit, iter(range(100))

    def commit_or_die(changes):
        if next(count) == 4:
            raise KeyboardInterrupt
        commit(changes)

    monkeypatch.setattr(store, "commit", commit_or_die)
    with pytest.raises(KeyboardInterrupt):
        run("update", "past.csv", store)
    store = open_store(place, "fraud")
    assert state.show(store)["transactions"] == 36
    assert run("update", "past.csv", store)["transactions added"] == 34
    np.testing.assert_allclose(predict(store=place), expected, atol=1e-5)


def test_predict_with_update_adds_the_transactions_after_scoring(run, predict, expected, split):
    place = str(split / "states.sqlite")
    run("update", "past.csv", open_store(place, "fraud", create=True))
    np.testing.assert_allclose(predict(store=place, update=True), expected, atol=1e-5)
    assert state.show(open_store(place, "fraud"))["transactions"] == 100
    with pytest.raises(DataError, match="already has these transactions"):
        predict(store=place)


def test_a_history_of_several_files_gives_the_scores_of_the_whole_history(predict, expected, split, frame):
    frame.iloc[30:70].to_csv(split / "b.csv", index=False)
    frame.iloc[:30].to_json(split / "a.jsonl", orient="records", lines=True)
    history = (str(split / "b.csv"), str(split / "a.jsonl"))
    np.testing.assert_allclose(predict(history=history, reasons=True), expected, atol=1e-5)


def test_an_earlier_transaction_of_a_card_is_an_error_with_its_row(run, predict, frame, split):
    place = str(split / "states.sqlite")
    store = open_store(place, "fraud", create=True)
    run("update", "past.csv", store)
    mixed = frame.iloc[[70, 71, 3, 72]].drop(columns="fraud")
    mixed.to_csv(split / "mixed.csv", index=False)
    for call in (lambda: run("update", "mixed.csv", store), lambda: predict("mixed.csv", store=place)):
        with pytest.raises(
            DataError, match=r'mixed\.csv, row 3: card "\d" has a later transaction in the store.*--on-error skip'
        ):
            call()
    assert len(predict("mixed.csv", store=place, on_error="skip")) == 3
    with collect_notices() as notices:
        assert run("update", "mixed.csv", store, skips_errors=True)["transactions added"] == 3
    (notice,) = [notice for notice in notices if "1 transactions are earlier" in str(notice)]
    assert notice.rows == (3,)


def test_a_store_of_another_model_is_refused_with_the_command_that_rebuilds_it(run, predict, split, predictor):
    place = str(split / "states.sqlite")
    store = open_store(place, "fraud", create=True)
    run("update", "past.csv", store)
    store.commit(state.Changes(store.metadata() | {"model": "another"}))
    for call in (
        lambda: run("update", "today.csv", store),
        lambda: run("label", "past.csv", store),
        lambda: predict(store=place),
    ):
        with pytest.raises(
            SuiteError, match=r"another model version.*state fraud update --rebuild --data FILE --store"
        ):
            call()
    assert run("update", "past.csv", store, is_rebuild=True) == {"transactions added": 70, **state.show(store)}
    assert state.show(store)["transactions"] == 70
    assert len(predict(store=place)) == 30


def test_scores_without_a_history_say_so(read, metadata, predictor):
    with collect_notices() as notices:
        read("today.csv", PredictOptions())
    (notice,) = [notice for notice in notices if "without the earlier transactions" in str(notice)]
    assert "of the cards; 6 of 30 transactions" in str(notice)
    assert "--history" in str(notice)


def test_a_history_that_cannot_help_says_so(read, metadata, predictor, frame, split):
    frame.iloc[68:70].assign(card="other", time=frame["time"].max()).to_csv(split / "short.csv", index=False)
    with collect_notices() as notices:
        read("today.csv", PredictOptions(history=(str(split / "short.csv"),)))
    text = " ".join(map(str, notices))
    assert "no card of" in text
    assert "no label is older than the label delay of 7 days" in text


def test_a_store_that_cannot_help_says_so(run, read, frame, split):
    place = str(split / "states.sqlite")
    store = open_store(place, "fraud", create=True)
    with pytest.raises(SuiteError, match="no state store"):
        read("today.csv", PredictOptions(store=place))
    frame.iloc[:5].assign(card="other").to_csv(split / "others.csv", index=False)
    run("update", "others.csv", store)
    with collect_notices() as notices:
        read("today.csv", PredictOptions(store=place))
    assert any("knows none of the cards" in str(notice) for notice in notices)


def test_options_that_exclude_each_other():
    with pytest.raises(ValueError, match="--history and --store exclude each other"):
        PredictOptions(history=("a.csv",), store="b")
    with pytest.raises(ValueError, match="--update needs the state store"):
        PredictOptions(update=True)


def test_transactions_that_are_also_in_the_history_count_once(predict, expected, split, frame):
    frame.to_csv(split / "whole.csv", index=False)
    frame.iloc[:30].drop(columns="fraud").to_csv(split / "a.csv", index=False)
    with collect_notices() as notices:
        history = (str(split / "whole.csv"), str(split / "a.csv"))
        np.testing.assert_allclose(predict(history=history, reasons=True), expected, atol=1e-5)
    texts = " ".join(map(str, notices))
    assert f"whole.csv: 30 of 100 transactions are also in {split / 'today.csv'}, and score themselves there" in texts
    assert f"a.csv: 30 of 30 transactions are also in {split / 'whole.csv'}. They are left out of the history." in texts


def test_the_history_may_have_the_columns_of_the_training(config, predictor, metadata, expected, split, frame):
    frame.iloc[70:].rename(columns={"card": "konto"}).to_csv(split / "renamed.csv", index=False)
    renamed = dataclasses.replace(config, columns=dataclasses.replace(COLUMNS, card=("konto",)))
    metadata = {**metadata, "task": "fraud", "columns": dataclasses.asdict(COLUMNS)}
    options = PredictOptions(history=(str(split / "past.csv"),), reasons=True)
    (inputs,) = READERS.read_inputs(renamed, str(split / "renamed.csv"), metadata, options)
    predictions = serving.predict(inputs.records, metadata, predictor, options)
    np.testing.assert_allclose(predictions["fraud_probability"], expected, atol=1e-5)
