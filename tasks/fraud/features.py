"""The baselines' inputs: the fifteen of the Fraud Detection Handbook (2022, chapter 3), and what the LSTM is given besides.

All are of the past: amounts up to the transaction itself, labels at least the label delay old.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.fraud.model import PRIOR, SPANS, SPREAD
from tasks.fraud.transaction_index import TransactionIndex, build_transaction_index

DAY, HOUR = 86_400, 3_600
NEVER = -1.0


def table(frame: pd.DataFrame, delay_days: float) -> pd.DataFrame:
    """Returns the inputs of every transaction, float32, in the order of the table.

    Args:
        frame: as `shared.sources.Splits` of the fraud task hold it.
        delay_days: until a label is known.
    """
    ledger = build_transaction_index(frame, delay_days)
    columns = {**_of_the_moment(ledger), **_of_the_card(ledger)}
    if "terminal" in frame:
        columns |= _of_the_terminal(ledger, round(delay_days * DAY))
    for name in ledger.fields:
        if name not in ("time", "amount"):
            values = ledger.fields[name]
            columns[name] = pd.factorize(values, sort=True)[0] if values.dtype == object else values
    features = np.empty((len(ledger.fraud), len(columns)), np.float32)
    features[ledger.order] = np.stack(list(columns.values()), axis=1)
    return pd.DataFrame(features, columns=list(columns))


def _of_the_moment(ledger: TransactionIndex) -> dict[str, np.ndarray]:
    time = ledger.fields["time"]
    return {
        "amount": ledger.fields["amount"],
        "during_weekend": ((time // DAY + 3) % 7 >= 5).astype(float),  # 1970-01-01 was a Thursday
        "during_night": (time % DAY // HOUR <= 6).astype(float),
    }


def _of_the_card(ledger: TransactionIndex) -> dict[str, np.ndarray]:
    time, amount, first = ledger.fields["time"], ledger.fields["amount"].astype(np.float64), ledger.first
    row = np.arange(len(time))
    total = np.concatenate([[0.0], np.cumsum(amount)])
    squares = np.concatenate([[0.0], np.cumsum(amount * amount)])
    span = int(time.max() - time.min()) + 1
    key = first * span + time - time.min()  # one card after the other, each in time order
    columns = {}
    last = np.searchsorted(key, key, side="right")  # transactions of the same second included
    for days in SPANS:
        low = np.maximum(np.searchsorted(key, key - days * DAY, side="right"), first)
        columns[f"card_count_{days}_days"] = (last - low).astype(float)
        columns[f"card_mean_{days}_days"] = (total[last] - total[low]) / (last - low)
    count = row - first + PRIOR  # the transaction itself stands for the card's mean before its first
    mean = (total[row] - total[first] + PRIOR * amount) / count
    spread = (squares[row] - squares[first] + PRIOR * (1 + SPREAD**2) * amount**2) / count - mean**2
    columns["card_count"] = row - first
    columns["card_mean"] = mean
    columns["amount_to_mean"] = amount / np.maximum(np.abs(mean), 0.01)
    columns["amount_deviation"] = (amount - mean) / np.sqrt(np.maximum(spread, (0.1 * mean) ** 2 + 1e-6))
    columns["hours_since_last"] = np.where(row > first, (time - time[row - 1]) / HOUR, NEVER)
    return columns


def _of_the_terminal(ledger: TransactionIndex, delay: int) -> dict[str, np.ndarray]:
    """Counts and shares of confirmed fraud, and the run of fraud that ends the confirmed past."""
    time = ledger.fields["time"]
    ordered, fraud = time[ledger.reports], ledger.fraud[ledger.reports].astype(np.int64)
    low, high = ledger.known.T
    frauds = np.concatenate([[0], np.cumsum(fraud)])
    since = time - time.min()
    key = ledger.terminal * (int(since.max()) + 1) + since
    evaluation_batches = key[ledger.reports]
    columns = {}
    for days in SPANS:
        begin = np.searchsorted(evaluation_batches, key - delay - days * DAY, side="right")
        begin = np.clip(begin, low, high)
        number = high - begin
        columns[f"terminal_count_{days}_days"] = number.astype(float)
        columns[f"terminal_risk_{days}_days"] = (frauds[high] - frauds[begin]) / np.maximum(number, 1)
    place = np.arange(len(fraud))
    last_fraud = np.maximum.accumulate(np.where(fraud == 1, place, -1))
    last_genuine = np.maximum.accumulate(np.where(fraud == 0, place, -1))
    newest = np.maximum(high - 1, 0)
    some = high > low
    run = np.maximum(last_genuine[newest] + 1, low)  # where the run of fraud begins that goes on to the newest
    running = some & (fraud[newest] == 1)
    columns["terminal_last_label"] = np.where(some, fraud[newest], NEVER)
    columns["terminal_run"] = np.where(running, high - run, 0)
    columns["terminal_run_days"] = np.where(running, (time - ordered[np.minimum(run, len(fraud) - 1)]) / DAY, NEVER)
    for name, last in (("fraud", last_fraud), ("genuine", last_genuine)):
        there = some & (last[newest] >= low)
        columns[f"days_since_{name}"] = np.where(there, (time - ordered[np.maximum(last[newest], 0)]) / DAY, NEVER)
    return columns
