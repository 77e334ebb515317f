"""yfinance's answers, by recorded shapes: what it gives, and what it raises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yfinance
from yfinance.exceptions import YFInvalidPeriodError, YFPricesMissingError, YFRateLimitError, YFTzMissingError

from tasks.stock import fetch


def recorded(days: int = 30) -> pd.DataFrame:
    """What `Ticker.history(auto_adjust=True, actions=False)` returns: days of the exchange's time zone, float columns."""
    index = pd.date_range("2024-01-02", periods=days, freq="B", tz="America/New_York", name="Date")
    close = 180 + np.arange(days, dtype=float)
    columns = {
        "Open": close - 1,
        "High": close + 2,
        "Low": close - 2,
        "Close": close,
        "Volume": np.full(days, 5_000_000),
    }
    return pd.DataFrame(columns, index=index)


@pytest.fixture
def answers(monkeypatch):
    """A list that the stand-in for Yahoo works off: tables to give and errors to raise."""
    given: list = []

    class Ticker:
        def __init__(self, name: str) -> None:
            self.name = name

        def history(self, **options: object) -> pd.DataFrame:
            assert options["auto_adjust"] is True
            answer = given.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(yfinance, "Ticker", Ticker)
    return given


def test_days_lose_their_time_zone_and_stay_the_exchanges_days(answers, tmp_path):
    answers.append(recorded())
    assert fetch.main("AAPL", "2y", str(tmp_path / "a.parquet")) == 0
    found = pd.read_parquet(tmp_path / "a.parquet")
    assert list(found.columns) == ["Date", "Open", "High", "Low", "Close", "Volume"]
    assert str(found["Date"].iloc[0])[:19] == "2024-01-02 00:00:00"
    assert len(found) == 30


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([YFPricesMissingError("X", "(period=2y)")], fetch.UNKNOWN),
        ([YFInvalidPeriodError("X", "7w", ["1y", "2y"])], fetch.UNKNOWN),
        ([YFTzMissingError("X"), YFPricesMissingError("X", "")], fetch.UNKNOWN),
        ([YFTzMissingError("X"), OSError("no route to host")], fetch.NO_ANSWER),
        ([YFRateLimitError()], fetch.NO_ANSWER),
        ([recorded(0)], fetch.UNKNOWN),
        ([recorded().drop(columns="Close")], fetch.UNKNOWN),
    ],
)
def test_what_it_raises_is_told_apart(answers, tmp_path, capsys, given, status):
    answers += given
    assert fetch.main("X", "2y", str(tmp_path / "x.parquet")) == status
    assert capsys.readouterr().err.strip()
    assert not (tmp_path / "x.parquet").exists()
