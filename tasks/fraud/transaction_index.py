"""Transactions in the order of their cards, with what was known of the terminal at each one's moment.

Nothing here looks ahead: a card's row sees the rows before it, and of its terminal only transactions that are older than
the label delay, when it is known whether they were fraud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

NO_FIELDS = ("card", "terminal", "time", "fraud", "learned", "judged")
UNKNOWN = -1
"""In place of a label that is not there: the padding of a terminal's confirmed transactions."""


@dataclass(frozen=True)
class TransactionIndex:
    """Rows of all cards, one card after the other, each in time order; equal times keep the order they came in."""

    fields: Mapping[str, np.ndarray]
    """Raw fields by name, each `(rows,)`: `time` int64 seconds since 1970, `amount` float32, further columns."""
    fraud: np.ndarray
    """int8 `(rows,)`, 0 or 1, or -1 where it is not known."""
    first: np.ndarray
    """Position of the first row of each row's card, int64 `(rows,)`."""
    order: np.ndarray
    """Which row of the table each row is, int64 `(rows,)`."""
    terminal: np.ndarray
    """Number of each row's terminal, int64 `(rows,)`; empty where there is none."""
    reports: np.ndarray
    """Positions of the labelled rows by terminal and time, int64; empty where there is no terminal."""
    known: np.ndarray
    """For each row, the stretch of `reports` that is its terminal's past beyond the delay, int64 `(rows, 2)`."""

    def terminal_fields(self, rows: np.ndarray, count: int) -> dict[str, np.ndarray]:
        """Returns the newest confirmed transactions of each row's terminal at that row's time.

        Args:
            rows: positions, int64 of any shape; where negative, there is nothing.
            count: most transactions of each.

        Returns:
            `terminal_time` int64, `terminal_amount` float32 and `terminal_fraud` int32, each `(*rows.shape, count)`,
            oldest first, padded on the right with 0, 0 and -1.
        """
        low, high = self.known[np.maximum(rows, 0)].transpose(-1, *range(rows.ndim))
        low = np.maximum(low, high - count)
        place = low[..., None] + np.arange(count)
        real = (place < high[..., None]) & (rows >= 0)[..., None]
        found = np.zeros(place.shape, np.int64)
        found[real] = self.reports[place[real]]
        return {
            "terminal_time": np.where(real, self.fields["time"][found], 0),
            "terminal_amount": np.where(real, self.fields["amount"][found], np.float32(0)),
            "terminal_fraud": np.where(real, self.fraud[found], UNKNOWN).astype(np.int32),
        }


def build_transaction_index(frame: pd.DataFrame, delay_days: float) -> TransactionIndex:
    """Orders a table of transactions.

    Args:
        frame: columns `card`, `time` (int64 seconds since 1970), `amount`, `fraud`, optionally `terminal`, `learned` and
            `judged`, and further columns, which become fields.
        delay_days: until a label is known.
    """
    cards, _ = pd.factorize(frame["card"])
    time = frame["time"].to_numpy(np.int64)
    order = np.lexsort((time, cards))  # stable
    cards = cards[order]
    new = np.r_[True, cards[1:] != cards[:-1]]
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    extra = [name for name in frame.columns if name not in NO_FIELDS]
    fields = {"time": time[order], **{name: frame[name].to_numpy()[order] for name in extra}}
    fields["amount"] = fields["amount"].astype(np.float32)
    terminals = reports = np.zeros(0, np.int64)
    known = np.zeros((len(order), 2), np.int64)
    if "terminal" in frame:
        terminals = pd.factorize(frame["terminal"].to_numpy()[order])[0].astype(np.int64)
        labelled = frame["fraud"].to_numpy(np.int8)[order] != UNKNOWN
        reports, known = _known_of_terminals(terminals, fields["time"], round(delay_days * 86_400), labelled)
    return TransactionIndex(fields, frame["fraud"].to_numpy(np.int8)[order], first, order, terminals, reports, known)


def _known_of_terminals(
    terminals: np.ndarray, time: np.ndarray, delay: int, labelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns `TransactionIndex.reports` and `TransactionIndex.known`: of a row's terminal, the labelled rows at least `delay` seconds older."""
    since = time - time.min()
    span = int(since.max()) + 1
    key = terminals * span + since
    reports = np.flatnonzero(labelled)[np.argsort(key[labelled], kind="stable")]
    ordered = key[reports]
    low = np.searchsorted(ordered, terminals * span, side="left")
    high = np.searchsorted(ordered, key - delay, side="right")
    return reports, np.stack([low, np.maximum(low, high)], axis=1)
