"""The example scores as the whole history does, also when it is stopped and started again."""

from __future__ import annotations

import numpy as np
import pytest

from examples.fraud_states import Scorer
from shared import workflow
from tasks.fraud.serving import histories
from tasks.fraud.transaction_index import build_transaction_index

pytestmark = pytest.mark.only_task("fraud")


@pytest.fixture
def version(trained):
    return trained.version


def test_a_store_between_calls_gives_the_scores_of_the_whole_history(version, trained, tmp_path):
    frame = trained.run.splits.test
    cards = frame["card"].value_counts().index[:2]
    rows = frame[frame["card"].isin(cards)].tail(12).drop(columns=["learned", "judged"]).reset_index(drop=True)
    rows["terminal"] = "the one"
    ledger = build_transaction_index(rows, trained.config.protocol.delay_days)
    request = histories(ledger, np.unique(ledger.first), trained.config.memory.reports, terminal=True)
    expected = workflow.load_predictor(version)(request)["fraud_probability"]
    by_row = np.empty(len(rows))
    by_row[ledger.order] = expected[np.arange(expected.shape[1]) < request["length"][:, None]]

    database = str(tmp_path / "states.sqlite")
    scorer, told = Scorer(str(version), database), 0
    for k, row in rows.iterrows():
        if k == 6:
            scorer = Scorer(str(version), database)  # a restart
        while told < k and rows["time"][told] <= row["time"] - 7 * 86_400:
            scorer.confirm("the one", int(rows["time"][told]), float(rows["amount"][told]), int(rows["fraud"][told]))
            told += 1
        answer = scorer.score(row["card"], "the one", int(row["time"]), float(row["amount"]))
        assert answer["fraud_probability"] == pytest.approx(by_row[k], abs=1e-5)
