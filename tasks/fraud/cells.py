"""Conversion of the cells of a table of transactions: times and labels."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from shared.data.columns import raise_where, raise_where_empty

TIME_ZONE = re.compile(r":\d{2}(?:\.\d+)?\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$")
MAX_SECONDS = 1e11  # the year 5138; larger numbers are milliseconds
FRAUD_LABELS, GENUINE_LABELS = ("1", "true", "yes", "fraud"), ("0", "false", "no", "genuine")


def parse_seconds(values: pd.Series, source: str, time_format: str | None) -> np.ndarray:
    """Returns seconds since 1970 (UTC), int64 `(rows,)`, from dates, from text in a format or in ISO 8601, or from numbers of seconds.

    Raises:
        DataError: a time is empty or has another format.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna(), values, source)
        utc = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
        return utc.to_numpy("datetime64[s]").astype(np.int64)
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    raise_where_empty(text == "", values, source)
    seconds = pd.to_numeric(text, errors="coerce")
    if time_format is None and seconds.notna().all():
        is_too_large = seconds.abs() > MAX_SECONDS
        raise_where(is_too_large, values, source, "too large for seconds since 1970. Divide milliseconds by 1000")
        return seconds.to_numpy(np.float64).astype(np.int64)
    has_zone = text.str.contains(TIME_ZONE)
    if time_format is None and has_zone.any() and not has_zone.all():
        problem = "no time zone, but other rows have one. Give all times a time zone, or none"
        raise_where(~has_zone, values, source, problem)
    parsed = pd.to_datetime(text, errors="coerce", utc=True, format=time_format or "ISO8601")
    expected = (
        f"expected a time in the format {time_format}"
        if time_format
        else "expected a time such as 2018-07-25 13:45:00, or seconds since 1970"
    )
    hint = 'Name the format of your times, for example --columns.time-format "%d/%m/%Y %H:%M"'
    raise_where(parsed.isna(), values, source, f"{expected}. {hint}")
    return parsed.dt.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64)


def parse_labels(values: pd.Series, source: str) -> np.ndarray:
    """Returns 1 for fraud and 0 for genuine, int8 `(rows,)`.

    Raises:
        DataError: a label is empty or unknown.
    """
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip().str.lower().str.removesuffix(".0")
    raise_where_empty(text == "", values, source)
    is_fraud = text.isin(FRAUD_LABELS)
    raise_where(~is_fraud & ~text.isin(GENUINE_LABELS), values, source, "expected 0 or 1")
    return is_fraud.to_numpy(np.int8)
