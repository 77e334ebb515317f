"""Download with yfinance: recorded responses and errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yfinance
from yfinance.exceptions import YFInvalidPeriodError, YFPricesMissingError, YFRateLimitError, YFTzMissingError

from tasks.stock import fetch


def recorded_prices(days: int = 30) -> pd.DataFrame:
    """Returns a table in the form of `Ticker.history(auto_adjust=True, actions=False)`: days in the time zone of the exchange."""
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
def responses(monkeypatch):
    """The responses of a fake Yahoo Finance, in order: tables to return and errors to raise."""
    queue: list = []

    class Ticker:
        def __init__(self, name: str) -> None:
            self.name = name

        def history(self, **options: object) -> pd.DataFrame:
            assert options["auto_adjust"] is True
            response = queue.pop(0)
            if isinstance(response, Exception):
                raise response
            return response

    monkeypatch.setattr(yfinance, "Ticker", Ticker)
    return queue


def test_days_lose_their_time_zone_without_conversion(responses, tmp_path):
    responses.append(recorded_prices())
    assert fetch.main("AAPL", "2y", str(tmp_path / "a.parquet")) == 0
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert list(frame.columns) == ["Date", "Open", "High", "Low", "Close", "Volume"]
    assert str(frame["Date"].iloc[0])[:19] == "2024-01-02 00:00:00"
    assert len(frame) == 30


@pytest.mark.parametrize(
    ("queue", "status"),
    [
        ([YFPricesMissingError("X", "(period=2y)")], fetch.NOT_FOUND),
        ([YFInvalidPeriodError("X", "7w", ["1y", "2y"])], fetch.NOT_FOUND),
        ([YFTzMissingError("X"), YFPricesMissingError("X", "")], fetch.NOT_FOUND),
        ([YFTzMissingError("X"), OSError("no route to host")], fetch.NO_RESPONSE),
        ([YFRateLimitError()], fetch.NO_RESPONSE),
        ([recorded_prices(0)], fetch.NOT_FOUND),
        ([recorded_prices().drop(columns="Close")], fetch.NOT_FOUND),
    ],
)
def test_the_exit_status_distinguishes_errors(responses, tmp_path, capsys, queue, status):
    responses += queue
    assert fetch.main("X", "2y", str(tmp_path / "x.parquet")) == status
    assert capsys.readouterr().err.strip()
    assert not (tmp_path / "x.parquet").exists()
