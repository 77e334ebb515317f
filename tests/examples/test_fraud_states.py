"""The example gives the scores of the whole history, also after a restart."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from examples.fraud_states import Scorer
from shared import workflow
from tasks.fraud.serving import build_request
from tasks.fraud.transaction_index import build_transaction_index

pytestmark = pytest.mark.only_task("fraud")


def test_stored_states_give_the_scores_of_the_whole_history(trained, tmp_path):
    frame = trained.run.splits.test
    cards = frame["card"].value_counts().index[:2]
    rows = frame[frame["card"].isin(cards)].tail(12).drop(columns=["is_training_row", "is_scored_row"])
    rows = rows.reset_index(drop=True).assign(terminal="same terminal")
    index = build_transaction_index(rows, trained.config.split.label_delay_days)
    history_length = trained.config.features.terminal_history_length
    request = build_request(index, np.unique(index.first), history_length, has_terminals=True)
    probabilities = workflow.load_predictor(trained.version)(request)["fraud_probability"]
    expected = np.empty(len(rows))
    expected[index.order] = probabilities[np.arange(probabilities.shape[1]) < request["length"][:, None]]

    database, label_count = str(tmp_path / "states.sqlite"), 0
    scorer = Scorer(str(trained.version), database)
    for k, row in rows.iterrows():
        if k == 6:
            scorer = Scorer(str(trained.version), database)  # a restart
        while label_count < k and rows["time"][label_count] <= row["time"] - 7 * 86_400:
            label = rows.iloc[label_count]
            scorer.add_label("same terminal", int(label["time"]), float(label["amount"]), int(label["fraud"]))
            label_count += 1
        scores = scorer.score(row["card"], "same terminal", int(row["time"]), float(row["amount"]))
        assert scores["fraud_probability"] == pytest.approx(expected[k], abs=1e-5)
    other = shutil.copytree(trained.version, tmp_path / "2")
    with pytest.raises(SystemExit, match="Use this version, or begin with another database"):
        Scorer(str(other), database)
