"""Fits the division of the days to data of few days, and proposes one where a span has no fraud."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from shared.config import is_default, option
from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.fraud.config import FraudSplitConfig
from tasks.fraud.split import HOUR, LENGTHS, Bounds, find_empty_class, is_whole_days, mark_rows, split_spans
from tasks.fraud.times import DAY, RELATIVE_LIMIT, format_day

MIN_DAYS = 5  # data of fewer days are divided by hours: one day of training, and twice one of delay and one of test
HOUR_SHARES = dict(zip(LENGTHS, (4, 1, 2), strict=True))  # lengths of data of less than MIN_DAYS
MAX_PROPOSALS = 40  # divisions with fraud in every span that are checked in full


def fit_split(split: FraudSplitConfig, bounds: Bounds, source: str) -> FraudSplitConfig:
    """Returns the split with lengths that the data allow; a notice says so. Lengths that the user chose stay as they are.

    Raises:
        DataError: the data cover too few days for the lengths that the user chose; the message proposes lengths.
    """
    if _fits(split, bounds):
        return split
    adjustable = [name for name in LENGTHS if is_default(getattr(split, name))]
    fitted = next((one for one in _shorter(split, adjustable, bounds) if _fits(one, bounds)), None)
    total = f"the transactions cover {_describe_bounds(bounds)}"
    if fitted is not None:
        if "training_days" in adjustable:
            fitted = _with_longest_training(fitted, int(split.training_days), bounds)
        add_notice(
            f"{source}: {total}, fewer than the {_needed_days(split):g} days that the default lengths need. The split is fitted to "
            f"them: {fitted.training_days:.4g} training days, {fitted.label_delay_days:.4g} days of label delay, "
            f"{fitted.test_days:.4g} test days.",
            hint=f"To choose other lengths: {as_options(fitted)}",
        )
        return fitted
    proposals = (split, dataclasses.replace(split, training_from=None, test_from=None))
    proposal = next((one for base in proposals for one in _shorter(base, LENGTHS, bounds) if _fits(one, bounds)), None)
    fix = f"These fit: {as_options(proposal)}." if proposal is not None else "Use more days."
    raise DataError(
        f"{source}: {total}, which are too few; {_needed_days(split):g} days are needed: training, label delay and test, and before "
        f"them one label delay and one test for validation. {_describe_start(split, bounds)}{fix}"
    )


def require_both_classes(
    frame: pd.DataFrame, split: FraudSplitConfig, bounds: Bounds, has_cards: bool, source: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the rows of the splits (see `mark_rows`).

    Raises:
        DataError: a split has no fraud, or only fraud. The message says on which days there is fraud, and proposes a split.
    """
    fraud = frame["fraud"].to_numpy()
    marked = mark_rows(frame, split, bounds, has_cards)
    problem = find_empty_class(marked, fraud)
    if not problem:
        return marked
    for label, name, other in ((1, "fraud", "genuine"), (0, "genuine", "fraud")):
        if not (fraud == label).any():
            raise DataError(
                f"{source}: no transaction is labelled as {name}; {(fraud >= 0).sum():,} are {other}. Training and evaluation need both. "
                "If fraud has another label, name it with --columns.positive-label."
            )
    days = np.unique(frame["time"].to_numpy()[fraud == 1] // DAY)
    if has_cards and not find_empty_class(mark_rows(frame, split, bounds, has_cards=False), fraud):
        problem += ", because transactions of cards with a known fraud are excluded"
    where = f" Days with fraud: {_describe_days(days)}."
    proposal = propose_split(frame, split, bounds, has_cards)
    fix = (
        f"Use {as_options(proposal)}."
        if proposal is not None
        else "Use more days, or other lengths (--split.training-days, --split.label-delay-days, --split.test-days)."
    )
    raise DataError(f"{source}: {problem}.{where} {fix}")


def propose_split(
    frame: pd.DataFrame, split: FraudSplitConfig, bounds: Bounds, has_cards: bool
) -> FraudSplitConfig | None:
    """Returns a split by whole days with fraud in each span, as long as possible; None if there is none."""
    fraud = frame["fraud"].to_numpy()
    first_day, last_day = bounds.first // DAY, (bounds.end - 1) // DAY
    day = frame["time"].to_numpy() // DAY - first_day
    inside = (fraud == 1) & (day <= last_day - first_day)
    cumulative = np.concatenate([[0], np.cumsum(np.bincount(day[inside], minlength=last_day - first_day + 1))])
    base = dataclasses.replace(split, training_from=None, test_from=None)
    checked = 0
    for lengths in (base, *_shorter(base, LENGTHS, bounds)):
        if not is_whole_days(lengths):
            break
        for start in _starts_with_fraud(lengths, cumulative):
            number = int(first_day + start)
            training_from = number if number * DAY < RELATIVE_LIMIT else date.fromisoformat(format_day(number))
            candidate = dataclasses.replace(lengths, training_from=training_from)
            if not find_empty_class(mark_rows(frame, candidate, bounds, has_cards), fraud):
                return candidate
            checked += 1
            if checked == MAX_PROPOSALS:
                return None
    return None


def _starts_with_fraud(split: FraudSplitConfig, cumulative: np.ndarray) -> list[int]:
    """Returns the days of a start of training with fraud in every span, those with the most frauds in the rarest span first.

    Args:
        split: lengths.
        cumulative: number of frauds before each day from the first one on, and in all, int `(days + 1,)`.
    """
    training, delay, test = (round(getattr(split, name)) for name in LENGTHS)
    shift, days = delay + test, len(cumulative) - 1
    starts = np.arange(shift, days - training - shift + 1)
    if not len(starts):
        return []
    scored = max(training - test, 0)
    spans = ((-shift, training - shift), (scored, training), (training + delay, training + shift))
    rarest = np.min([cumulative[starts + end] - cumulative[starts + begin] for begin, end in spans], axis=0)
    order = np.argsort(-rarest, kind="stable")
    return [int(starts[k]) for k in order if rarest[k] > 0][:5]


def _shorter(split: FraudSplitConfig, adjustable: Sequence[str], bounds: Bounds) -> Iterator[FraudSplitConfig]:
    """Yields splits with shorter lengths, in decreasing order: by whole days, and for few days by hours."""
    if not adjustable:
        return
    maximum = max(int(getattr(split, name)) for name in adjustable)
    for count in range(maximum - 1, 0, -1):
        lengths: dict[str, Any] = {name: max(1, int(getattr(split, name)) * count // maximum) for name in adjustable}
        yield dataclasses.replace(split, **lengths)
    if bounds.end - bounds.first < MIN_DAYS * DAY:
        for hours in range((bounds.end - bounds.first) // HOUR, 0, -1):
            lengths = {name: max(1, hours * HOUR_SHARES[name] // 10) / 24 for name in adjustable}
            yield dataclasses.replace(split, **lengths)


def _with_longest_training(split: FraudSplitConfig, maximum: int, bounds: Bounds) -> FraudSplitConfig:
    """Returns a split by whole days with as many training days as the data allow, at most `maximum`."""
    if not is_whole_days(split):
        return split
    for days in range(maximum, int(split.training_days), -1):
        longer = dataclasses.replace(split, training_days=days)
        if _fits(longer, bounds):
            return longer
    return split


def _fits(split: FraudSplitConfig, bounds: Bounds) -> bool:
    """Returns True if the spans lie within the data; of the first and the last day or hour, a part is enough."""
    unit = DAY if is_whole_days(split) else HOUR
    spans = split_spans(split, bounds)
    if spans["train"].training_start // unit < bounds.first // unit:
        return False
    if split.training_from is None and split.test_from is None:
        return True
    return spans["test"].scored_start < bounds.end


def _needed_days(split: FraudSplitConfig) -> float:
    return round(split.training_days + 2 * (split.label_delay_days + split.test_days), 4)


def _describe_bounds(bounds: Bounds) -> str:
    first, last = bounds.first // DAY, (bounds.end - 1) // DAY
    days = last - first + 1
    if days < MIN_DAYS:
        name = format_day(first) if days == 1 else f"{format_day(first)} to {format_day(last)}"
        return f"{name}, {(bounds.end - bounds.first) // HOUR} hours"
    return f"{format_day(first)} to {format_day(last)}, {days} days"


def _describe_start(split: FraudSplitConfig, bounds: Bounds) -> str:
    """Returns a sentence with the first training days that these lengths allow, if the user chose one; "" otherwise."""
    if split.training_from is None or not is_whole_days(split):
        return ""
    shift = split.label_delay_days + split.test_days
    first = bounds.first // DAY + shift
    last = (bounds.end - 1) // DAY - split.training_days - split.label_delay_days
    if first > last:
        return ""
    return f"With these lengths, --split.training-from can be {format_day(first)} to {format_day(last)}. "


def _describe_days(days: np.ndarray) -> str:
    """Returns runs of days, such as "2020-06-07 to 2020-06-20 and 2020-07-01"; only the maximum runs of many."""
    runs = np.split(days, np.flatnonzero(np.diff(days) > 1) + 1)
    listed = sorted(sorted(runs, key=len, reverse=True)[:5], key=lambda run: int(run[0]))
    texts = [
        format_day(run[0]) if len(run) == 1 else f"{format_day(run[0])} to {format_day(run[-1])}" for run in listed
    ]
    rest = f" and {len(runs) - 5} shorter spans" if len(runs) > 5 else ""
    return ", ".join(texts) + rest


def as_options(split: FraudSplitConfig) -> str:
    """Returns a split as it is typed on the command line."""
    names = ("training_from", "test_from", *LENGTHS)
    values = {name: getattr(split, name) for name in names}
    return " ".join(
        f"{option(split, name)} {f'{value:.4g}' if name in LENGTHS else value}"
        for name, value in values.items()
        if value is not None
    )
