"""Times of day, such as 13:05, 1:05:30 PM or 130530."""

from __future__ import annotations

import re

import pandas as pd

TIME_OF_DAY = (
    r"\s*,?\s*T?(?P<hour>\d{1,2}):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:\.\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
CLOCK = re.sub(r"\(\?P<\w+>", "(?:", TIME_OF_DAY)
"""`TIME_OF_DAY` without groups."""


def seconds_of_day(clocks: pd.Series) -> pd.Series:
    """Returns the seconds since midnight of times such as 13:05, 1:05:30 PM or 130530, float64; NaN for a time that does not exist."""
    parts = clocks.str.extract(f"^{TIME_OF_DAY}$")
    hour, minute, second = (pd.to_numeric(parts[name]).fillna(0).astype(int) for name in ("hour", "minute", "second"))
    half = parts["half"].str[0].str.lower()
    is_valid = parts["hour"].notna() & (hour < 24) & (minute < 60) & (second < 60)
    hour = hour.where(half.isna(), hour % 12) + 12 * (half == "p").astype(int)
    return (hour * 3600.0 + minute * 60 + second).where(is_valid)
