"""From files of every shape to the protocol's days; what cannot be used is told with its row."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.fraud import data
from tasks.fraud.config import ColumnsConfig, FraudConfig, ProtocolConfig

DAY = 86_400


def table(days: int = 40, cards: int = 200, seed: int = 0) -> pd.DataFrame:
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
def file(tmp_path):
    def write(frame: pd.DataFrame, name: str = "transactions.csv") -> str:
        path = tmp_path / name
        frame.to_parquet(path) if name.endswith(".parquet") else frame.to_csv(path, index=False)
        return str(path)

    return write


def config_of(path: str, **changes) -> FraudConfig:
    return dataclasses.replace(FraudConfig(data=path), **changes)


def test_the_days_are_the_protocols(file):
    config = config_of(file(table()), protocol=ProtocolConfig(first_day=date(2020, 1, 20)))
    splits = data.load(config)
    start = np.datetime64("2020-01-20", "D").astype(int)

    def days(frame, column):
        return set((frame["time"][frame[column]] // DAY - start).tolist())

    assert days(splits.train, "learned") == set(range(-14, -7))
    assert days(splits.validation, "judged") <= set(range(7))
    assert days(splits.validation, "learned") == set(range(7))
    assert days(splits.test, "judged") <= set(range(14, 21))
    assert not splits.test["learned"].any()
    assert splits.train["time"].max() < splits.validation["time"].max() < splits.test["time"].max()


def test_without_a_first_day_the_test_days_are_the_last(file):
    splits = data.load(config_of(file(table())))
    assert splits.test["time"].max() // DAY == np.datetime64("2020-02-09", "D").astype(int)
    assert splits.test["judged"].iloc[-1] or splits.test["judged"].any()


def test_cards_are_left_out_of_the_test_days_once_their_fraud_is_known():
    frame = pd.DataFrame({"card": ["a"] * 30, "fraud": np.eye(30, dtype=np.int8)[3]})  # fraud on day 3
    day = np.arange(30)
    known = data.compromised(frame, day, since=0, delay=7)
    assert not known[: 3 + 7 + 1].any()
    assert known[3 + 7 + 1 :].all()
    assert not data.compromised(frame, day, since=4, delay=7).any()


def test_rows_in_any_order_are_sorted_and_equal_times_keep_theirs(file):
    frame = table()
    shuffled = frame.sample(frac=1, random_state=0)
    splits, expected = data.load(config_of(file(shuffled))), data.load(config_of(file(frame, "b.csv")))
    pd.testing.assert_frame_equal(splits.test.drop(columns="judged"), expected.test.drop(columns="judged"))
    frame["TX_DATETIME"] = frame["TX_DATETIME"].dt.floor("D")
    read = data.load(config_of(file(frame, "c.csv"))).test
    np.testing.assert_allclose(read["amount"], frame["TX_AMOUNT"].astype("float32"))


@pytest.mark.parametrize("name", ["transactions.csv", "transactions.parquet"])
def test_both_formats_say_the_same(file, name):
    frame = data.read(FraudConfig(), file(table(), name))
    assert frame["card"].iloc[0] == str(table()["CUSTOMER_ID"].iloc[0])
    assert frame["time"].iloc[0] == int(table()["TX_DATETIME"].iloc[0].timestamp())


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("TX_AMOUNT", "", 'row 3: column "TX_AMOUNT" is empty'),
        ("TX_AMOUNT", "a lot", "row 3: .* expected a finite number"),
        ("TX_AMOUNT", "inf", "row 3: .* expected a finite number"),
        ("TX_FRAUD", "maybe", "row 3: .* expected 0 or 1"),
        ("TX_FRAUD", "", 'row 3: column "TX_FRAUD" is empty. Fill it in'),
        ("TX_FRAUD", "2", "row 3: .* expected 0 or 1"),
        ("TX_DATETIME", "yesterday", "row 3: .* expected a time such as"),
        ("TX_DATETIME", "", "row 3: .* is empty"),
        ("TX_DATETIME", "2020-01-01T10:00:00+02:00", "row 1: .* no time zone, but other rows"),
        ("CUSTOMER_ID", "", "row 3: .* is empty"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_row(file, column, value, complaint):
    frame = table().astype(str)
    frame.loc[2, column] = value
    with pytest.raises(DataError, match=complaint):
        data.load(config_of(file(frame)))


def test_times_with_offsets_are_one_moment_and_numbers_are_seconds(file):
    frame = table()
    utc = data.read(FraudConfig(), file(frame))
    moved = frame.assign(TX_DATETIME=[f"{(t + pd.Timedelta(hours=2)).isoformat()}+02:00" for t in frame["TX_DATETIME"]])
    np.testing.assert_array_equal(data.read(FraudConfig(), file(moved, "b.csv"))["time"], utc["time"])
    seconds = frame.assign(TX_DATETIME=utc["time"])
    np.testing.assert_array_equal(data.read(FraudConfig(), file(seconds, "c.csv"))["time"], utc["time"])


def test_times_may_be_of_another_form(file):
    frame = table()
    written = frame.assign(TX_DATETIME=frame["TX_DATETIME"].dt.strftime("%d.%m.%Y %H:%M:%S"))
    config = FraudConfig(columns=ColumnsConfig(time_format="%d.%m.%Y %H:%M:%S"))
    times = data.read(config, file(written, "b.csv"))["time"]
    np.testing.assert_array_equal(times, data.read(FraudConfig(), file(frame))["time"])
    with pytest.raises(DataError, match=r"row 1: .* name its form, for example --columns\.time-format"):
        data.read(FraudConfig(), file(written, "b.csv"))
    with pytest.raises(DataError, match=r"row 1: .* expected a time in the format %d.%m.%Y %H:%M:%S"):
        data.read(config, file(frame))


def test_refunds_are_welcome(file):
    frame = table()
    frame.loc[2, "TX_AMOUNT"] = -12.5
    assert data.read(FraudConfig(), file(frame))["amount"].iloc[2] == -12.5


def test_a_table_without_terminals_says_what_to_do(file):
    path = file(table().drop(columns="TERMINAL_ID"))
    with pytest.raises(DataError, match=r"--columns\.terminal None"):
        data.load(config_of(path))
    splits = data.load(config_of(path, columns=ColumnsConfig(terminal=None)))
    assert "terminal" not in splits.test


@pytest.mark.parametrize("leak", ["numeric", "categorical"])
def test_a_column_that_equals_the_label_is_refused(file, leak):
    frame = table()
    frame["verdict"] = np.where(frame["TX_FRAUD"] == 1, 7, 3)
    with pytest.raises(DataError, match='column "verdict" says nothing but the label'):
        data.load(config_of(file(frame), columns=ColumnsConfig(**{leak: ("verdict",)})))


def test_a_span_without_fraud_is_told(file):
    frame = table()
    frame.loc[frame["TX_DATETIME"] > "2020-02-01", "TX_FRAUD"] = 0
    with pytest.raises(DataError, match="judge in the test span there are no fraud"):
        data.load(config_of(file(frame)))


def test_too_few_days_are_told(file):
    with pytest.raises(DataError, match="too few for the protocol, which needs 35"):
        data.load(config_of(file(table(days=20))))
    with pytest.raises(DataError, match="too few"):
        data.load(config_of(file(table(), "b.csv"), protocol=ProtocolConfig(first_day=date(2021, 1, 1))))


def test_identifiers_of_two_files_are_compared_as_text(file):
    first, second = table(), table().assign(TX_DATETIME=lambda f: f["TX_DATETIME"] + pd.Timedelta(days=40))
    second["CUSTOMER_ID"] = second["CUSTOMER_ID"].astype(float)
    second["TERMINAL_ID"] = second["TERMINAL_ID"].astype(str)
    config = config_of(file(first, "a.parquet"), test_data=file(second, "b.parquet"))
    splits = data.load(config)
    assert splits.test["card"].nunique() == first["CUSTOMER_ID"].nunique()
    assert splits.test["terminal"].nunique() == first["TERMINAL_ID"].nunique()


def test_a_number_that_is_text_in_one_file_is_told(file):
    second = table().astype({"TX_AMOUNT": str})
    second.loc[0, "TX_AMOUNT"] = "12,50"
    with pytest.raises(DataError, match=r"b\.parquet, row 1: .*expected a finite number"):
        data.load(config_of(file(table(), "a.parquet"), test_data=file(second, "b.parquet")))


def test_options_that_mean_nothing_here_are_refused(file):
    with pytest.raises(DataError, match="--validation-data"):
        data.load(config_of(file(table()), validation_data="x.csv"))


def test_an_openml_name_is_fetched_and_mapped(monkeypatch):
    import sklearn.datasets

    asked = {}

    def fetch(name, **options):
        asked["name"] = name
        return type("Bunch", (), {"frame": table()})

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    splits = data.load(config_of("openml:cards"))
    assert asked["name"] == "cards"
    assert splits.origin.name == "cards"
    with pytest.raises(DataError, match='openml:cards: no column "Where"'):
        data.load(config_of("openml:cards", columns=ColumnsConfig(terminal="Where")))


def test_openml_that_cannot_be_reached_is_one_clear_line(monkeypatch):
    import sklearn.datasets

    def fetch(**options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(DataError, match=r"openml:nothing: could not be had .*Check the name and the network"):
        data.load(config_of("openml:nothing"))


def test_without_a_card_column_all_rows_are_one_sequence(file):
    splits = data.load(config_of(file(table()), columns=ColumnsConfig(card=None)))
    assert splits.test["card"].nunique() == 1


def test_a_column_of_several_values_that_gives_the_label_away_is_refused_and_a_gap_is_a_value(file):
    frame = table()
    frame["kind"] = np.where(frame["TX_FRAUD"] == 1, np.arange(len(frame)) % 3 + 1, 0)
    with pytest.raises(DataError, match='column "kind" says nothing but the label'):
        data.load(config_of(file(frame), columns=ColumnsConfig(numeric=("kind",))))
    frame["kind"] = np.where(frame["TX_FRAUD"] == 1, 5.0, np.nan)
    with pytest.raises(DataError, match='column "kind" says nothing but the label'):
        data.load(config_of(file(frame, "b.csv"), columns=ColumnsConfig(numeric=("kind",))))


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64", "category", "str"])
def test_a_category_is_the_same_whatever_type_its_column_has(file, kind):
    frame = table().assign(code=5411)
    frame["code"] = frame["code"].astype(kind)
    frame["gap"] = frame["code"].where(frame.index > 0)
    config = FraudConfig(columns=ColumnsConfig(categorical=("code", "gap")))
    read = data.tidy(frame, config, "here")
    assert set(read["code"]) == {"5411"}
    assert read["gap"].tolist()[:2] == ["", "5411"]


def test_milliseconds_are_not_taken_for_seconds(file):
    frame = table()
    frame["TX_DATETIME"] = frame["TX_DATETIME"].astype("int64") // 10**6 + 10**12
    with pytest.raises(DataError, match="divide milliseconds by 1000"):
        data.load(config_of(file(frame)))


def test_labels_may_be_missing_where_nothing_is_learned():
    frame = table()
    without = data.tidy(frame.drop(columns="TX_FRAUD"), FraudConfig(), "here", labelled=False)
    assert (without["fraud"] == -1).all()
    frame["TX_FRAUD"] = frame["TX_FRAUD"].astype(object)
    frame.loc[3, "TX_FRAUD"] = None
    some = data.tidy(frame, FraudConfig(), "here", labelled=False)["fraud"]
    assert some[3] == -1
    np.testing.assert_array_equal(some.drop(3), frame["TX_FRAUD"].drop(3).astype(int))
