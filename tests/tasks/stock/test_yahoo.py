"""Prices from Yahoo Finance: cache, new attempts and errors. A fake replaces the process that downloads."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import fetch, yahoo
from tests.tasks.stock.test_fetch import recorded_prices


@pytest.fixture
def responses(monkeypatch):
    """The responses of the fake process, in order: tables to write, and pairs of exit status and last message."""
    queue: list = []

    def run(ticker: str, period: str, path: Path) -> tuple[int, str]:
        response = queue.pop(0)
        if isinstance(response, tuple):
            return response
        response.to_parquet(path)
        return 0, ""

    monkeypatch.setattr(yahoo, "_run_process", run)
    monkeypatch.setattr(yahoo.time, "sleep", lambda seconds: None)
    return queue


def table(days: int = 30) -> pd.DataFrame:
    frame = recorded_prices(days)
    return frame.set_index(frame.index.tz_localize(None)).reset_index()


def test_prices_are_cached_for_the_day(responses, tmp_path):
    responses += [table(), table(20)]
    prices = yahoo.download("yahoo:AAPL, ^gspc", "2y", tmp_path)
    assert prices.groupby("Ticker").size().to_dict() == {"AAPL": 30, "^GSPC": 20}
    assert not responses
    pd.testing.assert_frame_equal(yahoo.download("yahoo:AAPL,^GSPC", "2y", tmp_path), prices)  # no request
    assert {path.name[:8] for path in tmp_path.iterdir()} == {"AAPL-2y-", "%5EGSPC-"}


def test_a_rate_limit_leads_to_another_attempt(responses, tmp_path, caplog):
    responses += [(fetch.NO_RESPONSE, "Too Many Requests"), table()]
    with caplog.at_level(logging.WARNING):
        assert len(yahoo.download("yahoo:AAPL", "2y", tmp_path)) == 30
    assert "Too Many Requests. Trying again" in caplog.text


def test_an_unknown_ticker_raises_an_error(responses, tmp_path):
    responses.append((fetch.NOT_FOUND, "$NOSUCH: possibly delisted"))
    with pytest.raises(DataError, match=r"yahoo:NOSUCH: Yahoo Finance has no such prices .*possibly delisted"):
        yahoo.download("yahoo:NOSUCH", "2y", tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_network_an_older_file_is_used_with_a_warning(responses, tmp_path, caplog):
    responses += [(fetch.NO_RESPONSE, "no route to host")] * 8
    with pytest.raises(DataError, match=r"no route to host.*use a CSV file"):
        yahoo.download("yahoo:AAPL", "2y", tmp_path)
    table().to_parquet(tmp_path / "AAPL-2y-2024-02-01.parquet")
    with caplog.at_level(logging.WARNING):
        assert len(yahoo.download("yahoo:AAPL", "2y", tmp_path)) == 30
    assert "downloaded on 2024-02-01" in caplog.text


def test_the_download_runs_in_its_own_process_and_reports_a_network_error(tmp_path, monkeypatch):
    """The proxy does not exist. TensorFlow, which is loaded in this process, does not break the request."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    status, reason = yahoo._run_process("AAPL", "2y", tmp_path / "out.parquet")
    assert status == fetch.NO_RESPONSE
    assert "mpersonat" not in reason
    assert not (tmp_path / "out.parquet").exists()


def test_a_source_without_tickers_raises_an_error():
    with pytest.raises(DataError, match="no ticker"):
        yahoo.download("yahoo: ,", "2y")
