"""Transactions ordered by card and time, with the labelled history of the terminal at the time of each transaction.

Nothing here looks ahead: the row of a card sees its earlier rows, and of its terminal only transactions that are older than the label
delay, when their labels are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

NOT_FIELDS = ("card", "terminal", "time", "fraud", "is_training_row", "is_scored_row")
UNKNOWN_LABEL = -1
"""Stands for a label that is not known, and for padding in the labelled history of a terminal."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class TransactionIndex:
    """Rows of all cards, one card after the other, each in time order; rows of equal time keep their order."""

    fields: Mapping[str, np.ndarray]
    """Raw fields by name, each `(rows,)`: `time` int64 seconds since 1970, `amount` float32, further columns."""
    fraud: np.ndarray
    """Labels, int8 `(rows,)`: 0, 1, or -1 if not known."""
    first: np.ndarray
    """Position of the first row of the card of each row, int64 `(rows,)`."""
    order: np.ndarray
    """Row of the table that each row comes from, int64 `(rows,)`."""
    terminal: np.ndarray
    """Id of the terminal of each row, int64 `(rows,)`; empty without terminals."""
    labelled_rows: np.ndarray
    """Positions of the labelled rows, ordered by terminal and time, int64; empty without terminals."""
    history_range: np.ndarray
    """For each row, start and end in `labelled_rows` of the rows of its terminal that are older than the delay, int64 `(rows, 2)`."""

    def terminal_fields(self, rows: np.ndarray, count: int) -> dict[str, np.ndarray]:
        """Returns the labelled history of the terminal of each row at the time of the row.

        Args:
            rows: positions, int64 of any shape; a negative position gives an empty history.
            count: maximum number of transactions, the newest ones.

        Returns:
            `terminal_time` int64, `terminal_amount` float32 and `terminal_fraud` int32, each `(*rows.shape, count)`, oldest first,
            padded on the right with 0, 0 and -1.
        """
        start, end = self.history_range[np.maximum(rows, 0)].transpose(-1, *range(rows.ndim))
        start = np.maximum(start, end - count)
        position = start[..., None] + np.arange(count)
        is_real = (position < end[..., None]) & (rows >= 0)[..., None]
        history = np.zeros(position.shape, np.int64)
        history[is_real] = self.labelled_rows[position[is_real]]
        return {
            "terminal_time": np.where(is_real, self.fields["time"][history], 0),
            "terminal_amount": np.where(is_real, self.fields["amount"][history], np.float32(0)),
            "terminal_fraud": np.where(is_real, self.fraud[history], UNKNOWN_LABEL).astype(np.int32),
        }


def build_transaction_index(frame: pd.DataFrame, label_delay_days: float) -> TransactionIndex:
    """Orders a table of transactions.

    Args:
        frame: columns `card`, `time` (int64 seconds since 1970), `amount`, `fraud`, optionally `terminal` ("" where a row has none),
            `is_training_row` and `is_scored_row`, and further columns, which become fields.
        label_delay_days: days until a label is known.
    """
    cards, _ = pd.factorize(frame["card"])
    time = frame["time"].to_numpy(np.int64)
    order = np.lexsort((time, cards))  # stable
    cards = cards[order]
    is_new_card = np.r_[True, cards[1:] != cards[:-1]]
    first = np.maximum.accumulate(np.where(is_new_card, np.arange(len(order)), 0))
    further = [name for name in frame.columns if name not in NOT_FIELDS]
    fields = {"time": time[order], **{name: frame[name].to_numpy()[order] for name in further}}
    fields["amount"] = fields["amount"].astype(np.float32)
    fraud = frame["fraud"].to_numpy(np.int8)[order]
    terminals = labelled_rows = np.zeros(0, np.int64)
    history_range = np.zeros((len(order), 2), np.int64)
    if "terminal" in frame:
        names = frame["terminal"].to_numpy()[order]
        terminals = pd.factorize(names)[0].astype(np.int64)
        is_labelled = (fraud != UNKNOWN_LABEL) & (
            names != ""
        )  # rows without a terminal have no history, and are in none
        delay = max(1, round(label_delay_days * SECONDS_PER_DAY))
        labelled_rows, history_range = _terminal_histories(terminals, fields["time"], delay, is_labelled, order)
    return TransactionIndex(fields, fraud, first, order, terminals, labelled_rows, history_range)


def _terminal_histories(
    terminals: np.ndarray, time: np.ndarray, delay: int, is_labelled: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns `labelled_rows` and `history_range` of a `TransactionIndex`; `delay` is in seconds.

    Transactions of one terminal and second keep the order of the table, as they do when transactions arrive one by one.
    """
    elapsed = time - time.min()
    span = int(elapsed.max()) + 1
    key = terminals * span + elapsed
    labelled_rows = np.flatnonzero(is_labelled)[np.lexsort((order[is_labelled], key[is_labelled]))]
    sorted_keys = key[labelled_rows]
    start = np.searchsorted(sorted_keys, terminals * span, side="left")
    end = np.searchsorted(sorted_keys, key - delay, side="right")
    return labelled_rows, np.stack([start, np.maximum(start, end)], axis=1)
