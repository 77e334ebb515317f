"""Files of different formats are read and split by days; invalid values raise errors that name the row."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.fraud import data
from tasks.fraud.config import ColumnsConfig, FraudConfig, FraudSplitConfig
from tasks.fraud.inputs import READERS
from tasks.fraud.split import is_compromised

DAY = 86_400
TRAINED = {"label_delay_days": 7, "columns": {"numeric": (), "categorical": ()}}


def build_table(days: int = 40, cards: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    count = days * 10
    return pd.DataFrame(
        {
            "CUSTOMER_ID": rng.integers(0, cards, count),
            "TERMINAL_ID": rng.integers(0, 4, count),
            "TX_DATETIME": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(np.sort(rng.integers(0, days * DAY, count)), unit="s"),
            "TX_AMOUNT": rng.gamma(2.0, 20.0, count).round(2),
            "TX_FRAUD": (rng.uniform(size=count) < 0.1).astype(int),
        }
    )


@pytest.fixture
def write_file(tmp_path):
    def write(frame: pd.DataFrame, name: str = "transactions.csv") -> str:
        path = tmp_path / name
        frame.to_parquet(path) if name.endswith(".parquet") else frame.to_csv(path, index=False)
        return str(path)

    return write


def build_config(path: str, **changes) -> FraudConfig:
    return dataclasses.replace(FraudConfig(data=path), **changes)


def test_the_splits_are_the_configured_days(write_file):
    split = FraudSplitConfig(training_from=date(2020, 1, 20))
    splits = data.load(build_config(write_file(build_table()), split=split))
    start = np.datetime64("2020-01-20", "D").astype(int)

    def days(frame, column):
        return set((frame["time"][frame[column]] // DAY - start).tolist())

    assert days(splits.train, "is_training_row") == set(range(-14, -7))
    assert days(splits.validation, "is_scored_row") <= set(range(7))
    assert days(splits.validation, "is_training_row") == set(range(7))
    assert days(splits.test, "is_scored_row") <= set(range(14, 21))
    assert not splits.test["is_training_row"].any()
    assert splits.train["time"].max() < splits.validation["time"].max() < splits.test["time"].max()


def test_the_test_days_are_the_last_ones_by_default(write_file):
    splits = data.load(build_config(write_file(build_table())))
    assert splits.test["time"].max() // DAY == np.datetime64("2020-02-09", "D").astype(int)
    assert splits.test["is_scored_row"].iloc[-1] or splits.test["is_scored_row"].any()


def test_cards_are_excluded_from_the_test_days_when_their_fraud_is_known():
    frame = pd.DataFrame({"card": ["a"] * 30, "fraud": np.eye(30, dtype=np.int8)[3]})  # fraud on day 3
    day = np.arange(30)
    is_excluded = is_compromised(frame, day, since=0, delay=7)
    assert not is_excluded[: 3 + 7 + 1].any()
    assert is_excluded[3 + 7 + 1 :].all()
    assert not is_compromised(frame, day, since=4, delay=7).any()


def test_rows_are_sorted_by_time_and_rows_of_equal_time_keep_their_order(write_file):
    frame = build_table()
    shuffled = data.load(build_config(write_file(frame.sample(frac=1, random_state=0)))).test
    expected = data.load(build_config(write_file(frame, "b.csv"))).test
    pd.testing.assert_frame_equal(shuffled.drop(columns="is_scored_row"), expected.drop(columns="is_scored_row"))
    frame["TX_DATETIME"] = frame["TX_DATETIME"].dt.floor("D")
    result = data.load(build_config(write_file(frame, "c.csv"))).test
    np.testing.assert_allclose(result["amount"], frame["TX_AMOUNT"].astype("float32"))


@pytest.mark.parametrize("name", ["transactions.csv", "transactions.parquet"])
def test_text_and_parquet_files_give_the_same_table(write_file, name):
    frame = data.read(FraudConfig(), write_file(build_table(), name))
    assert frame["card"].iloc[0] == str(build_table()["CUSTOMER_ID"].iloc[0])
    assert frame["time"].iloc[0] == int(build_table()["TX_DATETIME"].iloc[0].timestamp())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("TX_AMOUNT", "", 'row 3: column "TX_AMOUNT" is empty'),
        ("TX_AMOUNT", "a lot", "row 3: .* expected a finite number"),
        ("TX_AMOUNT", "inf", "row 3: .* expected a finite number"),
        ("TX_FRAUD", "maybe", "row 3: .* expected 0 or 1"),
        ("TX_FRAUD", "2", "row 3: .* expected 0 or 1"),
        ("TX_DATETIME", "yesterday", "row 3: .* expected a time such as"),
        ("TX_DATETIME", "", "row 3: .* is empty"),
        ("TX_DATETIME", "2020-01-01T10:00:00+02:00", "row 1: .* no time zone, but other rows"),
        ("CUSTOMER_ID", "", "row 3: .* is empty"),
    ],
)
def test_an_invalid_value_raises_an_error_with_its_row(write_file, column, value, message):
    frame = build_table().astype(str)
    frame.loc[2, column] = value
    with pytest.raises(DataError, match=message):
        data.load(build_config(write_file(frame)))


def test_times_with_a_time_zone_and_seconds_are_the_same_times_in_utc(write_file):
    frame = build_table()
    expected = data.read(FraudConfig(), write_file(frame))["time"]
    with_zone = [f"{(time + pd.Timedelta(hours=2)).isoformat()}+02:00" for time in frame["TX_DATETIME"]]
    for name, times in (("b.csv", with_zone), ("c.csv", expected)):
        path = write_file(frame.assign(TX_DATETIME=times), name)
        np.testing.assert_array_equal(data.read(FraudConfig(), path)["time"], expected)


def test_times_can_have_another_format(write_file):
    frame = build_table()
    path, iso_path = (
        write_file(frame.assign(TX_DATETIME=frame["TX_DATETIME"].dt.strftime("%d.%m.%Y %H:%M:%S")), "b.csv"),
        write_file(frame),
    )
    config = FraudConfig(columns=ColumnsConfig(time_format="%d.%m.%Y %H:%M:%S"))
    np.testing.assert_array_equal(data.read(config, path)["time"], data.read(FraudConfig(), iso_path)["time"])
    np.testing.assert_array_equal(data.read(FraudConfig(), path)["time"], data.read(FraudConfig(), iso_path)["time"])
    with pytest.raises(DataError, match=r"row 1: .* expected a time in the format %d.%m.%Y %H:%M:%S"):
        data.read(config, iso_path)


def test_negative_amounts_are_valid(write_file):
    frame = build_table()
    frame.loc[2, "TX_AMOUNT"] = -12.5
    assert data.read(FraudConfig(), write_file(frame))["amount"].iloc[2] == -12.5


def test_a_table_without_terminals_raises_an_error_with_the_fix(write_file):
    path = write_file(build_table().drop(columns="TERMINAL_ID"))
    with pytest.raises(DataError, match=r"--columns\.terminal None"):
        data.load(build_config(path))
    splits = data.load(build_config(path, columns=ColumnsConfig(terminal=None)))
    assert "terminal" not in splits.test


def test_a_missing_column_raises_an_error_with_its_option(write_file):
    path = write_file(build_table().drop(columns="CUSTOMER_ID"))
    with pytest.raises(DataError, match=r'no column "CUSTOMER_ID".*--columns\.card'):
        data.load(build_config(path))


@pytest.mark.parametrize("section", ["numeric", "categorical"])
def test_a_column_that_equals_the_label_raises_an_error(write_file, section):
    frame = build_table()
    frame["verdict"] = np.where(frame["TX_FRAUD"] == 1, 7, 3)
    with pytest.raises(DataError, match='column "verdict" determines the label'):
        data.load(build_config(write_file(frame), columns=ColumnsConfig(**{section: ("verdict",)})))


def test_a_span_without_fraud_raises_an_error(write_file):
    frame = build_table()
    frame.loc[frame["TX_DATETIME"] > "2020-02-01", "TX_FRAUD"] = 0
    with pytest.raises(DataError, match="the test split has no frauds for evaluation"):
        data.load(build_config(write_file(frame)))


def test_too_few_days_raise_an_error(write_file):
    split = FraudSplitConfig(training_days=7, label_delay_days=7, test_days=7)
    with pytest.raises(DataError, match="which are too few; 35 days are needed"):
        data.load(build_config(write_file(build_table(days=20)), split=split))
    split = FraudSplitConfig(training_from=date(2021, 1, 1))
    with pytest.raises(DataError, match="too few"):
        data.load(build_config(write_file(build_table(), "b.csv"), split=split))


def test_identifiers_are_text_whatever_their_type_in_the_file(write_file):
    frame = build_table()
    changed = frame.astype({"CUSTOMER_ID": float, "TERMINAL_ID": str})
    first, second = (
        data.read(FraudConfig(), write_file(table, name))
        for table, name in ((frame, "a.parquet"), (changed, "b.parquet"))
    )
    assert pd.concat([first, second])["card"].nunique() == frame["CUSTOMER_ID"].nunique()
    assert pd.concat([first, second])["terminal"].nunique() == frame["TERMINAL_ID"].nunique()


def test_a_number_that_is_text_raises_an_error_with_its_file_and_row(write_file):
    frame = build_table().astype({"TX_AMOUNT": str})
    frame.loc[0, "TX_AMOUNT"] = "12,50"
    with pytest.raises(DataError, match=r"b\.parquet, row 1: .*expected a finite number"):
        data.load(build_config(write_file(frame, "b.parquet")))


@pytest.mark.parametrize("name", ["validation_data", "test_data"])
def test_there_are_no_options_for_separate_split_files(name):
    assert name not in {field.name for field in dataclasses.fields(FraudConfig)}


def test_a_data_set_of_openml_is_downloaded_and_converted(monkeypatch):
    import sklearn.datasets

    names = []

    def fetch(name, **options):
        names.append(name)
        return type("Bunch", (), {"frame": build_table()})

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    splits = data.load(build_config("openml:cards"))
    assert names == ["cards"]
    assert splits.origin.name == "cards"
    with pytest.raises(DataError, match='openml:cards: no column "Where"'):
        data.load(build_config("openml:cards", columns=ColumnsConfig(terminal="Where")))


def test_a_failed_download_from_openml_raises_one_clear_error(monkeypatch):
    import sklearn.datasets

    def fetch(**options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(DataError, match=r"openml:nothing: the download .* failed .*Check the name and the network"):
        data.load(build_config("openml:nothing"))


def test_without_a_card_column_all_rows_are_one_sequence(write_file):
    splits = data.load(build_config(write_file(build_table()), columns=ColumnsConfig(card=None)))
    assert splits.test["card"].nunique() == 1


def test_a_column_whose_values_determine_the_label_raises_an_error_also_with_missing_values(write_file):
    frame = build_table()
    columns = ColumnsConfig(numeric=("kind",))
    frame["kind"] = np.where(frame["TX_FRAUD"] == 1, np.arange(len(frame)) % 3 + 1, 0)
    with pytest.raises(DataError, match='column "kind" determines the label'):
        data.load(build_config(write_file(frame), columns=columns))
    frame["kind"] = np.where(frame["TX_FRAUD"] == 1, 5.0, np.nan)
    with pytest.raises(DataError, match='column "kind" determines the label'):
        data.load(build_config(write_file(frame, "b.csv"), columns=columns))


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "category", "str"])
def test_a_category_is_the_same_text_for_every_dtype(dtype):
    frame = build_table().assign(code=5411)
    frame["code"] = frame["code"].astype(dtype)
    frame["gap"] = frame["code"].where(frame.index > 0)
    config = FraudConfig(columns=ColumnsConfig(categorical=("code", "gap")))
    result = data.convert(frame, config, "here")
    assert set(result["code"]) == {"5411"}
    assert result["gap"].tolist()[:2] == ["", "5411"]


def test_a_configuration_that_was_fitted_is_part_of_the_splits(write_file):
    table = build_table(days=20, cards=40)
    splits = data.load(build_config(write_file(table)))
    assert (splits.config.split.training_days, splits.config.split.test_days) == (4, 4)
    assert splits.config.evaluation.alerts_per_day == 1
    assert "4 training days, 4 days of label delay, 4 test days" in splits.origin.split_description
    seconds = (table["TX_DATETIME"] - table["TX_DATETIME"].min()).dt.total_seconds()
    splits = data.load(build_config(write_file(table.assign(TX_DATETIME=seconds), "b.csv")))
    assert splits.config.columns.time_unit == "seconds"


def test_terminals_that_are_all_empty_are_no_terminals(write_file):
    splits = data.load(build_config(write_file(build_table().assign(TERMINAL_ID=""))))
    assert "terminal" not in splits.test
    assert splits.config.columns.terminal is None


def test_several_columns_can_form_time_card_and_terminal(write_file):
    frame = build_table()
    time = frame["TX_DATETIME"]
    parts = frame.assign(
        Year=time.dt.year,
        Month=time.dt.month,
        Day=time.dt.day,
        Time=time.dt.strftime("%H:%M:%S"),
        Card=frame.index % 2,
        City="here",
    )
    columns = ColumnsConfig(
        card=("CUSTOMER_ID", "Card"), time=("Year", "Month", "Day", "Time"), terminal=("TERMINAL_ID", "City")
    )
    result = data.read(FraudConfig(columns=columns), write_file(parts, "b.csv"))
    np.testing.assert_array_equal(result["time"], data.read(FraudConfig(), write_file(frame))["time"])
    assert result["card"].nunique() == len(parts[["CUSTOMER_ID", "Card"]].drop_duplicates())
    assert result["terminal"].nunique() == 4


def test_the_error_for_a_known_data_set_lists_all_its_options(write_file):
    frame = pd.DataFrame({"step": [1], "type": "x", "amount": 1, "nameOrig": "a", "nameDest": "b", "isFraud": 0})
    with pytest.raises(
        DataError, match=r'no column "CUSTOMER_ID".*PaySim: --columns.card nameOrig --columns.time step'
    ):
        data.load(build_config(write_file(frame), columns=ColumnsConfig(label="isFraud")))


def test_unlabelled_rows_are_history_in_an_evaluation_too(write_file):
    frame = build_table().astype({"TX_FRAUD": object})
    frame.loc[::4, "TX_FRAUD"] = ""
    assert (data.read(FraudConfig(), write_file(frame))["fraud"][::4] == -1).all()
    records = READERS.read_records(FraudConfig(), write_file(frame), TRAINED)
    assert not records["is_scored_row"][records["fraud"] == -1].any()
    assert records["is_scored_row"].any()


def test_labels_can_be_missing_in_unlabelled_data():
    frame = build_table()
    unlabelled = data.convert(frame.drop(columns="TX_FRAUD"), FraudConfig(), "here", is_labelled=False)
    assert (unlabelled["fraud"] == -1).all()
    frame["TX_FRAUD"] = frame["TX_FRAUD"].astype(object)
    frame.loc[3, "TX_FRAUD"] = None
    labels = data.convert(frame, FraudConfig(), "here", is_labelled=False)["fraud"]
    assert labels[3] == -1
    np.testing.assert_array_equal(labels.drop(3), frame["TX_FRAUD"].drop(3).astype(int))
