"""The embedded sample."""

from __future__ import annotations

from tasks.stock import sample


def test_the_sample_has_two_indices_and_twenty_years():
    frame = sample.prices()
    assert frame.groupby("Ticker").size().to_dict() == {"^GSPC": 5031, "^IXIC": 5031}
    assert str(frame["Date"].min())[:10] == "1999-01-04"
    assert {"Open", "High", "Low", "Close", "Adj Close", "Volume"} <= set(frame.columns)
