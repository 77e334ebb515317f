"""The fraud model on the test days, beside baselines on engineered features of the same past."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shared import evaluation
from shared.evaluation import Metric
from shared.sources import Splits
from shared.task import Evaluation, TrainedModel
from tasks.fraud import features, plots
from tasks.fraud.batches import joined, views_of
from tasks.fraud.config import FraudConfig
from tasks.fraud.data import ONE_CARD
from tasks.fraud.explain import drivers
from tasks.fraud.model import Submodels, get_submodels
from tasks.fraud.transaction_index import build_transaction_index

DAY = 86_400


def evaluate(trained_model: TrainedModel, splits: Splits, config: FraudConfig) -> Evaluation:
    """Scores the exported model and the baselines on the judged rows of the test split by the same metrics.

    Args:
        trained_model: from `tasks.fraud.train.fit`.
        splits: from `tasks.fraud.data.load`.
        config: the run's settings.
    """
    judged = splits.test[splits.test["judged"]]
    labels, cards, days = groups(judged)
    measures = measures_of(config.alerts.per_day)
    parts = get_submodels(trained_model.model)
    views = judged_views(parts, splits.test, config)
    factor, offset = trained_model.metadata["calibration"]
    answer = expit(factor * joined(parts, *views).astype(np.float64) + offset)
    probabilities = {"exported": answer}
    minutes = {}
    for name, (theirs, seconds) in _baselines(splits, config).items():
        probabilities[name], minutes[name] = theirs, seconds / 60
    scores = []
    for name, values in probabilities.items():
        scores += evaluation.score(name, labels, values, measures, cards, days)
    threshold = trained_model.metadata["threshold"]
    drove = drivers(parts, trained_model.metadata, *views)
    table = alerts_table(labels, answer >= threshold, cards, days)
    alerted = answer >= min(threshold, answer.max())
    return Evaluation(
        scores,
        output_description=(
            f"`fraud_probability` is calibrated; `alert` is True from {threshold:.4f} on, the threshold that raised "
            f"{config.alerts.per_day} alerts a day on validation."
        ),
        notes={
            "minutes of the baselines": minutes,
            "alerts a day at the exported threshold": table,
            "mean rise of the log-odds in alerts": {name: float(v[alerted].mean()) for name, v in drove.items()},
            "frauds among the judged transactions": int(labels.sum()),
        },
        plots={
            "precision_recall.png": partial(plots.precision_recall, labels, probabilities),
            "drivers.png": partial(plots.drivers, {name: v[alerted] for name, v in drove.items()}),
            "alerts.png": partial(plots.alerts, table, threshold),
        },
    )


def judged_views(parts: Submodels, frame: pd.DataFrame, config: FraudConfig) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns what the views make of the judged rows of a table, in its order (see `tasks.fraud.batches.views_of`)."""
    ledger = build_transaction_index(frame, config.protocol.delay_days)
    chosen = frame["judged"].to_numpy()[ledger.order]
    back = np.argsort(ledger.order[chosen], kind="stable")
    hidden, terminal = views_of(parts, ledger, chosen)
    return hidden[back], None if terminal is None else terminal[back]


def judged_logits(parts: Submodels, frame: pd.DataFrame, config: FraudConfig) -> np.ndarray:
    """Returns the logits of the judged rows of a table, in its order."""
    return joined(parts, *judged_views(parts, frame, config))


def groups(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns label, number of the card and day of each row; without cards each transaction is looked into by itself."""
    days = frame["time"].to_numpy() // DAY
    cards = np.arange(len(frame)) if (frame["card"] == ONE_CARD).all() else pd.factorize(frame["card"])[0]
    return frame["fraud"].to_numpy(np.int64), cards.astype(np.int64), days - days.min()


def measures_of(per_day: int) -> Mapping[str, Metric]:
    """Returns the metrics by name, of labels, probabilities, cards and days."""
    return {
        "average_precision": lambda labels, answer, *_: float(metrics.average_precision_score(labels, answer)),
        "roc_auc": lambda labels, answer, *_: float(metrics.roc_auc_score(labels, answer)),
        f"card_precision_at_{per_day}": partial(card_precision, k=per_day),
        "log_loss": lambda labels, answer, *_: float(metrics.log_loss(labels, answer, labels=[0, 1])),
    }


def card_precision(labels: np.ndarray, probabilities: np.ndarray, cards: np.ndarray, days: np.ndarray, k: int) -> float:
    """Share of fraudulent cards among the k with the highest probabilities of each day, mean over the days.

    A card's probability is its highest of the day; a card found is not looked at again on later days (Fraud Detection
    Handbook, chapter 4, "Precision top-k").
    """
    key = days * (cards.max() + 1) + cards
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) > 0])  # a card's transactions of one day stand together
    highest = np.maximum.reduceat(probabilities[order], starts)
    fraud = np.maximum.reduceat(labels[order], starts) == 1
    card, day = cards[order][starts], days[order][starts]
    shares, found = [], np.zeros(cards.max() + 1, bool)
    for today in np.unique(day):
        left = np.flatnonzero((day == today) & ~found[card])
        top = left[np.argsort(-highest[left], kind="stable")[:k]]
        shares.append(fraud[top].sum() / k)
        found[card[top[fraud[top]]]] = True
    return float(np.mean(shares))


def alerts_table(labels: np.ndarray, alert: np.ndarray, cards: np.ndarray, days: np.ndarray) -> dict[str, Any]:
    """Returns for each day the cards alerted, those with fraud among them, and the cards with fraud there were."""
    rows = {}
    for day in np.unique(days):
        today = days == day
        alerted, bad = set(cards[today & alert]), set(cards[today & (labels == 1)])
        rows[f"day {day + 1}"] = {"alerts": len(alerted), "right": len(alerted & bad), "of": len(bad)}
    return rows


def _baselines(splits: Splits, config: FraudConfig) -> dict[str, tuple[np.ndarray, float]]:
    """Returns the probabilities and the seconds of each baseline, trained on the rows that trained the exported model."""
    started = time.monotonic()
    inputs = features.table(splits.test, config.protocol.delay_days)
    learned = np.flatnonzero(splits.validation["learned"])  # the test split's table begins with the same rows
    judged = np.flatnonzero(splits.test["judged"])
    labels = splits.test["fraud"].to_numpy()[learned]
    prepared = time.monotonic() - started
    answers = {}
    for name, model in baselines(config.training.seed).items():
        started = time.monotonic()
        model.fit(inputs.iloc[learned], labels)
        answer = model.predict_proba(inputs.iloc[judged])[:, 1]
        answers[name] = answer, prepared + time.monotonic() - started
    return answers


def baselines(seed: int) -> dict[str, Any]:
    """Returns the baselines by name, not trained_model; their settings were fixed on the validation weeks, not searched for."""
    return {
        "logistic_regression": make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)
        ),
        "random_forest": RandomForestClassifier(300, min_samples_leaf=2, n_jobs=-1, random_state=seed),
        "histogram_gradient_boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
        ),
    }
