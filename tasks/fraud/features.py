"""Features of the baselines: the fifteen of the Fraud Detection Handbook (2022, chapter 3), and those that the LSTM model reads.

All features are of the past: amounts up to the transaction itself, labels that are at least as old as the label delay.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.fraud.card_features import HISTORY_SPANS, PRIOR_COUNT, PRIOR_SPREAD
from tasks.fraud.transaction_index import TransactionIndex, build_transaction_index

DAY, HOUR = 86_400, 3_600
MISSING = -1.0


def feature_table(frame: pd.DataFrame, label_delay_days: float) -> pd.DataFrame:
    """Returns the features of every transaction, float32, in the order of the table.

    Args:
        frame: table of a split of the fraud task.
        label_delay_days: days until a label is known.
    """
    index = build_transaction_index(frame, label_delay_days)
    columns = {**_transaction_features(index), **_card_features(index)}
    if "terminal" in frame:
        columns |= _terminal_features(index, round(label_delay_days * DAY))
    for name in index.fields:
        if name not in ("time", "amount"):
            values = index.fields[name]
            columns[name] = pd.factorize(values, sort=True)[0] if values.dtype == object else values
    features = np.empty((len(index.fraud), len(columns)), np.float32)
    features[index.order] = np.stack(list(columns.values()), axis=1)
    return pd.DataFrame(features, columns=list(columns))


def _transaction_features(index: TransactionIndex) -> dict[str, np.ndarray]:
    time = index.fields["time"]
    return {
        "amount": index.fields["amount"],
        "during_weekend": ((time // DAY + 3) % 7 >= 5).astype(float),  # 1970-01-01 was a Thursday
        "during_night": (time % DAY // HOUR <= 6).astype(float),
    }


def _card_features(index: TransactionIndex) -> dict[str, np.ndarray]:
    time, amount, first = index.fields["time"], index.fields["amount"].astype(np.float64), index.first
    row = np.arange(len(time))
    total = np.concatenate([[0.0], np.cumsum(amount)])
    squares = np.concatenate([[0.0], np.cumsum(amount * amount)])
    span = int(time.max() - time.min()) + 1
    key = first * span + time - time.min()  # ordered by card, then by time
    columns = {}
    end = np.searchsorted(key, key, side="right")  # includes transactions of the same second
    for days in HISTORY_SPANS:
        start = np.maximum(np.searchsorted(key, key - days * DAY, side="right"), first)
        columns[f"card_count_{days}_days"] = (end - start).astype(float)
        columns[f"card_mean_{days}_days"] = (total[end] - total[start]) / (end - start)
    count = row - first + PRIOR_COUNT  # before its first transaction, a card's mean is the amount of this transaction
    mean = (total[row] - total[first] + PRIOR_COUNT * amount) / count
    variance = (squares[row] - squares[first] + PRIOR_COUNT * (1 + PRIOR_SPREAD**2) * amount**2) / count - mean**2
    columns["card_count"] = row - first
    columns["card_mean"] = mean
    columns["amount_to_mean"] = amount / np.maximum(np.abs(mean), 0.01)
    columns["amount_deviation"] = (amount - mean) / np.sqrt(np.maximum(variance, (0.1 * mean) ** 2 + 1e-6))
    columns["hours_since_last"] = np.where(row > first, (time - time[row - 1]) / HOUR, MISSING)
    return columns


def _terminal_features(index: TransactionIndex, delay: int) -> dict[str, np.ndarray]:
    """Returns counts and fraud rates of the labelled history, and the run of frauds at its end; `delay` is in seconds."""
    time = index.fields["time"]
    label_time, fraud = time[index.labelled_rows], index.fraud[index.labelled_rows].astype(np.int64)
    start, end = index.history_range.T
    cumulative_frauds = np.concatenate([[0], np.cumsum(fraud)])
    elapsed = time - time.min()
    key = index.terminal * (int(elapsed.max()) + 1) + elapsed
    label_key = key[index.labelled_rows]
    columns = {}
    for days in HISTORY_SPANS:
        begin = np.searchsorted(label_key, key - delay - days * DAY, side="right")
        begin = np.clip(begin, start, end)
        count = end - begin
        columns[f"terminal_count_{days}_days"] = count.astype(float)
        frauds = cumulative_frauds[end] - cumulative_frauds[begin]
        columns[f"terminal_risk_{days}_days"] = frauds / np.maximum(count, 1)
    position = np.arange(len(fraud))
    last_fraud = np.maximum.accumulate(np.where(fraud == 1, position, -1))
    last_genuine = np.maximum.accumulate(np.where(fraud == 0, position, -1))
    newest = np.maximum(end - 1, 0)
    has_history = end > start
    run_start = np.maximum(last_genuine[newest] + 1, start)  # first fraud of the run that ends with the newest label
    is_in_run = has_history & (fraud[newest] == 1)
    run_time = label_time[np.minimum(run_start, len(fraud) - 1)]
    columns["terminal_last_label"] = np.where(has_history, fraud[newest], MISSING)
    columns["terminal_run"] = np.where(is_in_run, end - run_start, 0)
    columns["terminal_run_days"] = np.where(is_in_run, (time - run_time) / DAY, MISSING)
    for name, last in (("fraud", last_fraud), ("genuine", last_genuine)):
        exists = has_history & (last[newest] >= start)
        last_time = label_time[np.maximum(last[newest], 0)]
        columns[f"days_since_{name}"] = np.where(exists, (time - last_time) / DAY, MISSING)
    return columns
