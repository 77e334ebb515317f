"""Trains the fraud task: `python -m tasks.fraud.train` is `lstm-suite train fraud`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from shared import cli, training
from shared.sources import Splits
from shared.task import Task, TrainedModel
from tasks.fraud import data, model, serving
from tasks.fraud.batches import WindowBatches
from tasks.fraud.config import FraudConfig
from tasks.fraud.evaluate import evaluate, groups, judged_logits
from tasks.fraud.transaction_index import build_transaction_index

EDGES = 6
OFTEN = 10


def train_model(config: FraudConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains twice: on an earlier span, to choose the epoch, the calibration and the threshold; then on the newest one.

    The rare class is left as rare as it is: the log loss over all transactions, from a start at the training split's
    rate of fraud, gives probabilities that mean what they say.

    Args:
        config: settings.
        splits: from `tasks.fraud.data.load`; the test split is not looked at.
        folder: for logs and checkpoints.
    """
    views, history = _trained(config, splits.train, splits.validation, folder / "choosing", config.training.epochs)
    started = time.monotonic()
    judged = splits.validation[splits.validation["judged"]]
    labels, cards, days = groups(judged)
    logits = judged_logits(views.parts, splits.validation, config)
    calibration = calibrate(logits, labels)
    probabilities = expit(calibration[0] * logits + calibration[1])
    threshold = threshold_for(probabilities, cards, days, config.alerts.per_day)
    history.seconds += time.monotonic() - started

    newest, refitted = _trained(config, splits.validation, None, folder, history.best_epoch)
    history.seconds += refitted.seconds
    metadata = {
        "task": "fraud",
        "columns": dataclasses.asdict(config.columns),
        "alerts_per_day": config.alerts.per_day,
        "calibration": calibration,
        "threshold": threshold,
        "reports": config.memory.reports,
        **newest.metadata,
    }
    return TrainedModel(
        model=newest.whole(calibration),
        metadata=metadata,
        history=history,
        notes={
            "threshold": threshold,
            "factor and offset of the logits": list(calibration),
            "epochs of the exported model": history.best_epoch,
        },
    )


def learn_facts(config: FraudConfig, frame: pd.DataFrame) -> dict[str, Any]:
    """Returns what the model has to know of the transactions that train it (see `tasks.fraud.model.SubmodelBuilder`)."""
    learned = frame[frame["learned"]]
    numeric = {}
    for name in config.columns.numeric:
        mean, deviation = learned[name].mean(), learned[name].std(ddof=0)
        numeric[name] = (_finite(mean, 0.0), _finite(deviation, 1.0) or 1.0)
    return {
        "amount_edges": amount_edges(learned["amount"].to_numpy(), learned["fraud"].to_numpy()),
        "delay_days": config.protocol.delay_days,
        "amount_scale": max(float(learned["amount"].abs().mean()), 1e-6),
        "fraud_rate": float(np.clip(learned["fraud"].mean(), 1e-6, 0.5)),
        "numeric": numeric,
        "categorical": {name: known_categories(learned[name]) for name in config.columns.categorical},
        "terminal": "terminal" in frame,
    }


def known_categories(values: pd.Series) -> list[str]:
    """Returns the categories seen often enough to be learned; the others teach the model what an unknown one is."""
    counts = values[values != ""].value_counts()
    return sorted(counts.index[counts >= OFTEN]) or [""]


def amount_edges(amounts: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns the amounts at which a small decision tree parts fraud from the rest (Gorishniy et al., 2022)."""
    tree = DecisionTreeClassifier(max_leaf_nodes=EDGES + 1, min_samples_leaf=10, random_state=0)
    tree.fit(amounts.reshape(-1, 1), labels)
    return sorted(float(edge) for edge in tree.tree_.threshold[tree.tree_.feature >= 0])


def calibrate(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns factor and offset of the logits that give the least log loss (Platt, 1999)."""
    found = LogisticRegression(C=1e6).fit(logits.reshape(-1, 1), labels)
    return max(float(found.coef_[0, 0]), 1e-3), float(found.intercept_[0])


def threshold_for(probabilities: np.ndarray, cards: np.ndarray, days: np.ndarray, per_day: int) -> float:
    """Returns the probability that so many cards a day reach, in the mean over the days; a card counts once a day."""
    highest = pd.Series(probabilities).groupby([days, cards]).max().sort_values(ascending=False).to_numpy()
    wanted = per_day * len(np.unique(days))
    if wanted >= len(highest):
        return float(highest[-1])
    return float((highest[wanted - 1] + highest[wanted]) / 2)


def _trained(
    config: FraudConfig, frame: pd.DataFrame, held_out: pd.DataFrame | None, folder: Path, epochs: int
) -> tuple[model.SubmodelBuilder, training.History]:
    """Returns the model trained on the learned rows of a table and watched on the judged ones of another."""
    started = time.monotonic()
    keras.utils.set_random_seed(config.training.seed)
    views = model.SubmodelBuilder(config, learn_facts(config, frame))
    trainer = views.trainer()
    batches = _batches(config, views, frame, "learned")
    validation = None if held_out is None else _batches(config, views, held_out, "judged").evaluation_batches()
    prepared = time.monotonic() - started
    history = training.fit(
        trainer,
        batches,
        validation,
        dataclasses.replace(config.training, epochs=epochs),
        folder,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    history.seconds += prepared
    return views, history


def _batches(config: FraudConfig, views: model.SubmodelBuilder, frame: pd.DataFrame, which: str) -> WindowBatches:
    ledger = build_transaction_index(frame, config.protocol.delay_days)
    chosen = frame[which].to_numpy()[ledger.order]
    return WindowBatches(ledger, chosen, config.memory, views, config.training.batch_size, config.training.seed)


def _finite(value: float, otherwise: float) -> float:
    return float(value) if np.isfinite(value) else otherwise


TASK = Task(
    name="fraud",
    load=data.load,
    train=train_model,
    evaluate=evaluate,
    export_spec=serving.export_spec,
    score_file=serving.score_file,
    predict=serving.predict,
    primary_metric="average_precision",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "It knows the kinds of fraud it was trained on; a new kind looks genuine until labels of it are in the training "
        "days. Fraud at a terminal taken over within the label delay cannot be seen by anyone. A probability is "
        "calibrated to the rate of fraud of the validation days: train again when that changes. It gives a reason to "
        "look into a transaction, not a reason to refuse a person."
    ),
)

if __name__ == "__main__":
    cli.main_of("fraud")
