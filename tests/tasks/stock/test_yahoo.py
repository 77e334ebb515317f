"""Prices from Yahoo Finance: kept, asked for again, and refused with a reason. The stand-in is the program that fetches."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import fetch, yahoo
from tests.tasks.stock.test_fetch import recorded


@pytest.fixture
def answers(monkeypatch):
    """A list that the stand-in works off: tables to write, and pairs of exit status and last word."""
    given: list = []

    def run(ticker: str, period: str, path: Path) -> tuple[int, str]:
        answer = given.pop(0)
        if isinstance(answer, tuple):
            return answer
        answer.to_parquet(path)
        return 0, ""

    monkeypatch.setattr(yahoo, "_run", run)
    monkeypatch.setattr(yahoo.time, "sleep", lambda seconds: None)
    return given


def table(days: int = 30) -> pd.DataFrame:
    frame = recorded(days)
    return frame.set_index(frame.index.tz_localize(None)).reset_index()


def test_prices_come_as_a_table_and_are_kept_for_the_day(answers, tmp_path):
    answers += [table(), table(20)]
    found = yahoo.download("yahoo:AAPL, ^gspc", "2y", tmp_path)
    assert found.groupby("Ticker").size().to_dict() == {"AAPL": 30, "^GSPC": 20}
    assert not answers
    pd.testing.assert_frame_equal(yahoo.download("yahoo:AAPL,^GSPC", "2y", tmp_path), found)  # asks nobody
    assert {path.name[:8] for path in tmp_path.iterdir()} == {"AAPL-2y-", "%5EGSPC-"}


def test_a_limited_rate_is_waited_out(answers, tmp_path, caplog):
    answers += [(fetch.NO_ANSWER, "Too Many Requests"), table()]
    with caplog.at_level(logging.WARNING):
        assert len(yahoo.download("yahoo:AAPL", "2y", tmp_path)) == 30
    assert "Too Many Requests; trying again" in caplog.text


def test_an_unknown_ticker_is_named(answers, tmp_path):
    answers.append((fetch.UNKNOWN, "$NOSUCH: possibly delisted"))
    with pytest.raises(DataError, match=r"yahoo:NOSUCH: Yahoo Finance has no such prices .*possibly delisted"):
        yahoo.download("yahoo:NOSUCH", "2y", tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_network_an_older_file_is_taken_and_its_day_told(answers, tmp_path, caplog):
    answers += [(fetch.NO_ANSWER, "no route to host")] * 8
    with pytest.raises(DataError, match=r"no route to host.*give a CSV"):
        yahoo.download("yahoo:AAPL", "2y", tmp_path)
    table().to_parquet(tmp_path / "AAPL-2y-2024-02-01.parquet")
    with caplog.at_level(logging.WARNING):
        assert len(yahoo.download("yahoo:AAPL", "2y", tmp_path)) == 30
    assert "fetched on 2024-02-01" in caplog.text


def test_the_program_runs_in_a_process_of_its_own_and_tells_why_there_is_no_answer(tmp_path, monkeypatch):
    """Through a proxy that is not there; TensorFlow, which this process has loaded, is not in its way."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    status, reason = yahoo._run("AAPL", "2y", tmp_path / "out.parquet")
    assert status == fetch.NO_ANSWER
    assert "mpersonat" not in reason
    assert not (tmp_path / "out.parquet").exists()


def test_no_ticker_is_an_error():
    with pytest.raises(DataError, match="names no ticker"):
        yahoo.download("yahoo: ,", "2y")
