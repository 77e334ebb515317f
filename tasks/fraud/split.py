"""Divides the days of the transactions into training, label delay and test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tasks.fraud.config import FraudSplitConfig
from tasks.fraud.times import DAY

HOUR = 3_600
LENGTHS = ("training_days", "label_delay_days", "test_days")


@dataclass(frozen=True)
class Bounds:
    """Seconds of the first transaction and after the last transaction that count for the split, at the start of an hour."""

    first: int
    end: int


@dataclass(frozen=True)
class Span:
    """Training and scored rows of one split; starts and ends are seconds, and an end does not belong to the span."""

    training_start: int
    training_end: int
    scored_start: int
    scored_end: int


def split_spans(split: FraudSplitConfig, bounds: Bounds) -> dict[str, Span]:
    """Returns the spans of the three splits. The training split holds the rows of the first training, the validation split those
    that evaluate it and those that train the exported model, and the test split those that evaluate the exported model."""
    training, delay, test = (length_seconds(split, name) for name in LENGTHS)
    start = training_start(split, bounds)
    end, shift = start + training, delay + test
    test_start = end + delay
    return {
        "train": Span(start - shift, end - shift, end - shift, end - shift),
        "validation": Span(start, end, end - test, end),
        "test": Span(test_start, test_start, test_start, test_start + test),
    }


def training_start(split: FraudSplitConfig, bounds: Bounds) -> int:
    """Returns the first second of training."""
    if split.training_from is not None:
        return day_number(split.training_from) * DAY
    if split.test_from is not None:
        return day_number(split.test_from) * DAY - sum(length_seconds(split, name) for name in LENGTHS[:2])
    unit = DAY if is_whole_days(split) else HOUR
    end = -(-bounds.end // unit) * unit
    return end - sum(length_seconds(split, name) for name in LENGTHS)


def day_number(day: date | int) -> int:
    """Returns a day as days since 1970; a number counts from day 0."""
    return day if isinstance(day, int) else int(np.datetime64(day, "D").astype(np.int64))


def find_bounds(time: np.ndarray, is_labelled: np.ndarray) -> Bounds:
    """Returns the time that the split may use: until the newest labels.

    Labels that are still pending leave the newest days without labels, or with the few that are known early. Days of which less than
    half as many rows have a label as over all days with labels are therefore too new.

    Args:
        time: seconds of all rows, int64 `(rows,)`.
        is_labelled: True for rows with a label, boolean `(rows,)`.
    """
    day = time // DAY
    days, index = np.unique(day, return_inverse=True)
    fraction = np.bincount(index, is_labelled) / np.bincount(index)
    is_complete = fraction >= 0.5 * is_labelled[np.isin(day, days[fraction > 0])].mean()
    last = days[is_complete & (fraction > 0)].max()
    newest = int(time[(day == last) & is_labelled].max())
    return Bounds(int(time.min()) // HOUR * HOUR, (newest // HOUR + 1) * HOUR)


def is_compromised(frame: pd.DataFrame, day: np.ndarray, since: float, delay: float) -> np.ndarray:
    """Returns True for rows of cards with a known fraud: on or after day `since`, and more than `delay` days before the row.

    Days may also be hours, if `day`, `since` and `delay` are.
    """
    fraud = (frame["fraud"].to_numpy() == 1) & (day >= since)
    first = pd.Series(day[fraud]).groupby(frame["card"].to_numpy()[fraud]).min()
    first_fraud = frame["card"].map(first).to_numpy(np.float64)  # NaN for cards without fraud
    return np.asarray(first_fraud <= day - delay - 1)


def mark_rows(
    frame: pd.DataFrame, split: FraudSplitConfig, bounds: Bounds, has_cards: bool
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the training rows and the scored rows, boolean `(rows,)`, by name of the split.

    Rows without a label are neither; rows of cards with a fraud that is known at the time of the row are not scored.
    """
    unit = DAY if is_whole_days(split) else HOUR
    time, is_labelled = frame["time"].to_numpy(), frame["fraud"].to_numpy() >= 0
    delay = length_seconds(split, "label_delay_days") // unit
    spans = split_spans(split, bounds)
    since = {"validation": spans["train"].training_start, "test": spans["validation"].training_start}
    marked = {}
    for name, span in spans.items():
        is_training = is_labelled & (time >= span.training_start) & (time < span.training_end)
        is_scored = is_labelled & (time >= span.scored_start) & (time < span.scored_end)
        if has_cards and name in since:
            is_scored &= ~is_compromised(frame, time // unit, since[name] // unit, delay)
        marked[name] = is_training, is_scored
    return marked


def find_empty_class(marked: dict[str, tuple[np.ndarray, np.ndarray]], fraud: np.ndarray) -> str:
    """Returns which split lacks a class, as a clause for a message; "" if all have both classes."""
    for name, purpose in (("train", 0), ("validation", 0), ("validation", 1), ("test", 1)):
        labels = fraud[marked[name][purpose]]
        if len(np.unique(labels)) < 2:
            missing = "transactions" if not len(labels) else "genuine transactions" if labels[0] == 1 else "frauds"
            return f"the {name} split has no {missing} for {('training', 'evaluation')[purpose]}, among {len(labels):,} transactions"
    return ""


def describe_split(split: FraudSplitConfig, has_cards: bool) -> str:
    """Returns the split in words, for the report."""
    start = "test on the last days"
    for name, day in (("training", split.training_from), ("test", split.test_from)):
        if day is not None:
            start = f"{name} from {'day ' if isinstance(day, int) else ''}{day}"
    text = (
        f"{start}: {split.training_days:.4g} training days, {split.label_delay_days:.4g} days of label delay, "
        f"{split.test_days:.4g} test days"
    )
    return text + ("; cards with a known fraud are excluded from the test days" if has_cards else "")


def is_whole_days(split: FraudSplitConfig) -> bool:
    return all(length_seconds(split, name) % DAY == 0 for name in LENGTHS)


def length_seconds(split: FraudSplitConfig, name: str) -> int:
    return round(getattr(split, name) * 24) * HOUR
