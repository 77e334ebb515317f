"""The past of the transactions of `predict`: a history, a state store or none; and scores in time order, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.state import open_store
from shared.state.memory import MemoryStore
from shared.state.store import Changes, StateStore, missing_store_error, require_model
from shared.streams import VersionPredictor
from shared.task import Inputs, Predictions, Predictor
from tasks.fraud.config import FraudConfig, PredictOptions
from tasks.fraud.reasons import Explainer, reason_columns
from tasks.fraud.states import CARDS, StepModel
from tasks.fraud.stored_files import add_file, find_late, late_error, records_digest, require_new
from tasks.fraud.stream import score_in_batches
from tasks.fraud.transactions import Transactions, join_history, notice_missing_history


def score_transactions(
    model: StepModel, store: StateStore, records: pd.DataFrame, is_scored: np.ndarray, has_reasons: bool
) -> dict[str, np.ndarray]:
    """Scores transactions in time order after those of a store, and commits the new states.

    Args:
        model: the model.
        store: states before these transactions.
        records: table from `tasks.fraud.data.convert`, in any order.
        is_scored: rows whose predictions are returned, bool `(rows,)`.
        has_reasons: True to return reasons (see `tasks.fraud.reasons`).

    Returns:
        `fraud_probability`, `alert` and the reasons, by name, one value per row of `is_scored`, in the order of the table.
    """
    order = np.argsort(records["time"].to_numpy(), kind="stable")
    frame = records.iloc[order]
    explain = None
    if has_reasons:
        explainer, is_explained = Explainer(model, frame), is_scored[order]

        def explain(positions: np.ndarray, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            columns, mask = reason_columns(len(positions)), is_explained[positions]
            if mask.any():
                reasons = explainer.explain({name: value[mask] for name, value in request.items()})
                for name, values in reasons.items():
                    columns[name][mask] = values
            return columns

    batches = []
    for scores, values in score_in_batches(model, store, frame, explain):
        store.commit(Changes(store.metadata(), values))
        batches.append(scores)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    selected = position[is_scored]
    return {name: np.concatenate([batch[name] for batch in batches])[selected] for name in batches[0]}


@dataclass(frozen=True)
class StoredTransactions:
    """Transactions to score after those of a state store, which changes only by `commit`."""

    transactions: Transactions
    """The transactions that the store does not have."""
    store: MemoryStore
    """The changes, on top of the store."""
    is_update: bool
    """True if `commit` changes the store."""

    @classmethod
    def open(cls, transactions: Transactions, options: PredictOptions) -> StoredTransactions:
        """Opens the store of the options.

        Raises:
            SuiteError: the store does not exist or cannot be used; it has these transactions; or one is earlier than the newest one of
                its card, and errors are not skipped.
        """
        assert options.store is not None
        assert transactions.records is not None
        store = open_store(options.store, "fraud", read_only=not options.update)
        if not store.metadata():
            raise missing_store_error(store.place, "fraud")
        require_new(store, store.metadata(), transactions.records, transactions.source)
        if not any(store.read(CARDS, transactions.records["card"].unique().tolist())):
            add_notice(
                f"{transactions.source}: the state store {store.place} knows none of the cards.",
                hint="Check that all files write the cards in the same way.",
            )
        is_late = find_late(transactions.records, store)
        if is_late.any():
            late, positions = transactions.records[is_late], transactions.positions[is_late]
            error = late_error(late, positions, transactions.source, store.place)
            if not options.skips_errors:
                raise error
            transactions = replace(
                transactions,
                records=transactions.records[~is_late].reset_index(drop=True),
                positions=transactions.positions[~is_late],
                errors={**transactions.errors, **{int(k): error.describe(int(k)) for k in error.positions}},
            )
        return cls(transactions, MemoryStore(store), options.update)

    def score(self, metadata: Mapping[str, Any], predictor: VersionPredictor, has_reasons: bool) -> Predictions:
        """Returns the predictions (see `score_transactions`) for all transactions.

        Raises:
            SuiteError: the store belongs to another model.
        """
        known, records = self.store.metadata(), self.transactions.records
        assert records is not None
        require_model(self.store, known, predictor.digest)
        model = StepModel(predictor.predictors, metadata)
        predictions = score_transactions(model, self.store, records, np.ones(len(records), bool), has_reasons)
        count = len(records)
        digest, source = records_digest(records), self.transactions.source
        self.store.commit(
            Changes(
                {
                    **known,
                    "files": add_file(known, digest, source, count, count),
                    "newest_time": max(known.get("newest_time", 0), int(records["time"].max())),
                    "transactions": known.get("transactions", 0) + count,
                }
            )
        )
        return predictions

    def commit(self) -> None:
        """Changes the store if this is an update, in one commit."""
        if self.is_update:
            self.store.commit_to_base()


def predict_in_order(
    records: pd.DataFrame | StoredTransactions, metadata: Mapping[str, Any], predictor: Predictor, has_reasons: bool
) -> Predictions:
    """Returns the predictions of `step` for transactions in time order, in the order of the table (see `score_transactions`).

    Args:
        records: a table, with the column `is_scored_row` if some rows are only history; or transactions with a state store.
        metadata: metadata of the model.
        predictor: the predictor of an exported version.
        has_reasons: True to return reasons.
    """
    if not isinstance(predictor, VersionPredictor):
        raise TypeError("Scoring with a state store or reasons needs the predictor of an exported version.")
    if isinstance(records, StoredTransactions):
        return records.score(metadata, predictor, has_reasons)
    is_scored = records["is_scored_row"].to_numpy() if "is_scored_row" in records else np.ones(len(records), bool)
    model = StepModel(predictor.predictors, metadata)
    return score_transactions(model, MemoryStore(), records, is_scored, has_reasons)


def build_inputs(
    transactions: Transactions,
    shown: pd.DataFrame,
    config: FraudConfig,
    metadata: Mapping[str, Any],
    options: PredictOptions,
) -> Inputs:
    """Returns inputs whose `rows` are `shown`, with the past that the options name."""
    if transactions.records is None:
        return Inputs(shown, None, transactions.positions, transactions.errors)
    records: Any = transactions.records
    on_written = None
    if options.store is not None:
        records = StoredTransactions.open(transactions, options)
        transactions, on_written = records.transactions, records.commit
    elif options.history:
        records = join_history(records, options.history, config, transactions.source, metadata)
    else:
        notice_missing_history(records, transactions.source)
    return Inputs(shown, records, transactions.positions, transactions.errors, on_written=on_written)
