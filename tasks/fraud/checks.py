"""Checks of a whole table of transactions: columns that give the label away, duplicates, and too many alerts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from shared.config import is_default, option
from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.fraud.config import ColumnsConfig, EvaluationConfig
from tasks.fraud.times import DAY

MIN_FRAUDS_FOR_LEAKS = 10
MAX_LEAKING_VALUES = 10
MAX_ALERT_FRACTION = 0.5
"""Alerts per day as a fraction of the cards per day, above which the default is lowered."""
ALERT_FRACTION = 0.1
"""Alerts per day as a fraction of the cards per day, to which the default is lowered."""


def raise_for_leaks(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> None:
    """Raises a `DataError` if a further column determines the label."""
    frame = frame[frame["fraud"] >= 0]
    fraud = frame["fraud"].to_numpy()
    if not MIN_FRAUDS_FOR_LEAKS <= fraud.sum() < len(fraud):  # with a few frauds it may be chance
        return
    names = (*columns.numeric, *columns.categorical)
    for name, field in zip(names, (*columns.numeric_fields, *columns.categorical_fields), strict=True):
        codes, unique = pd.factorize(frame[field], use_na_sentinel=False)
        frauds, rows = np.bincount(codes, fraud), np.bincount(codes)
        if len(unique) <= MAX_LEAKING_VALUES and ((frauds == 0) | (frauds == rows)).all():
            raise DataError(f'{source}: column "{name}" determines the label completely. Remove it from --columns.')


def notice_duplicates(frame: pd.DataFrame, source: str) -> None:
    """Notices rows that equal an earlier row in all columns, and rows that differ from an earlier one only by the label."""
    rows = np.flatnonzero(frame.duplicated(["card", "time", "amount"], keep=False))  # few, so that the rest is fast
    candidates = frame.iloc[rows]
    is_repeated = candidates.drop(columns="fraud").duplicated().to_numpy()
    is_exact = candidates.duplicated().to_numpy()
    if is_exact.any():
        add_notice(
            f"{source}: {is_exact.sum():,} rows equal an earlier row in all columns that are read. They are kept.",
            rows[is_exact] + 1,
            "Drop them if they are the same transaction.",
        )
    is_contradiction = is_repeated & ~is_exact
    if is_contradiction.any():
        add_notice(
            f"{source}: {is_contradiction.sum():,} rows equal an earlier row but for the label. They are kept.",
            rows[is_contradiction] + 1,
            "Keep one row of each transaction, with its final label.",
        )


def fit_alerts(evaluation: EvaluationConfig, validation: pd.DataFrame, source: str) -> EvaluationConfig:
    """Returns the settings with fewer alerts per day if the default would alert most of the cards of a day; a notice says so.

    Args:
        evaluation: settings.
        validation: validation split; its scored rows set the threshold.
        source: file, for messages.

    Raises:
        DataError: the user chose as many alerts per day as there are cards, so that every transaction would be an alert.
    """
    rows = validation[validation["is_scored_row"]]
    day = rows["time"].to_numpy() // DAY
    is_single = rows["card"].nunique() == 1
    cards = (
        len(rows) if is_single else len(pd.DataFrame({"day": day, "card": rows["card"].to_numpy()}).drop_duplicates())
    )
    cards_per_day = cards / len(np.unique(day))
    alerts, name = evaluation.alerts_per_day, option(evaluation, "alerts_per_day")
    kind = "transactions" if is_single else "cards"
    if is_default(alerts) and alerts > MAX_ALERT_FRACTION * cards_per_day:
        fitted = max(1, round(ALERT_FRACTION * cards_per_day))
        add_notice(
            f"{source}: the validation days have {cards_per_day:,.4g} {kind} per day, too few for {alerts} alerts per day. The alerts "
            f"are fitted to them: {fitted} per day.",
            hint=f"To choose another number: {name} {fitted}",
        )
        return dataclasses.replace(evaluation, alerts_per_day=fitted)
    if alerts >= cards_per_day:
        raise DataError(
            f"{source}: {name} {alerts} would make every transaction an alert: the validation days have {cards_per_day:,.4g} {kind} "
            f"per day. Choose a number below."
        )
    return evaluation
