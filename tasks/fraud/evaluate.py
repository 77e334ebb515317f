"""Scores the fraud model on the test days, beside baselines on engineered features of the same past."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
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

from shared.data.sources import Splits
from shared.evaluation import classification, scoring
from shared.evaluation.metric import Metric, Score
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from tasks.fraud import plots
from tasks.fraud.batches import Components, compute_components, join_logits, tree_logits
from tasks.fraud.config import FraudConfig
from tasks.fraud.data import SINGLE_CARD
from tasks.fraud.explain import attributions
from tasks.fraud.features import feature_table
from tasks.fraud.submodels import Submodels, get_submodels
from tasks.fraud.transaction_index import build_transaction_index

DAY = 86_400
CARD_PRECISION = Metric("card_precision_at_{k}", "card precision@{k}")
METRICS = (
    Metric(
        "average_precision",
        "average precision",
        compute=lambda labels, values: _nan_if_one_class(metrics.average_precision_score, labels, values),
    ),
    dataclasses.replace(
        classification.ROC_AUC, compute=lambda labels, values: _nan_if_one_class(metrics.roc_auc_score, labels, values)
    ),
    CARD_PRECISION,
    dataclasses.replace(
        classification.LOG_LOSS,
        compute=lambda labels, values: float(metrics.log_loss(labels, values, labels=[0, 1])),
    ),
)


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the probabilities of any model on the scored rows of a table.

    Args:
        records: the test split, or a table from `tasks.fraud.serving.read_records`.
        predictions: `fraud_probability` float `(rows,)`; the rows that are not scored may be NaN.
        metadata: `alerts_per_day`, the number of cards that are checked each day.
    """
    is_scored = records["is_scored_row"].to_numpy()
    labels, cards, days = label_groups(records[is_scored])
    probabilities = predictions["fraud_probability"][is_scored].astype(np.float64)
    k = metadata["alerts_per_day"]

    def card_precision_of(rows: np.ndarray, card_ids: np.ndarray) -> float:
        return card_precision(labels[rows], probabilities[rows], card_ids, days[rows], k)

    scores: list[Score] = []
    for metric in METRICS:
        if metric is CARD_PRECISION:  # counts cards, so its interval needs resamples of cards
            name = metric.name.format(k=k)
            scores.append(scoring.group_bootstrap_score(EXPORTED, name, card_precision_of, cards))
        else:
            scores += scoring.score(EXPORTED, labels, probabilities, [metric])
    return scores


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: FraudConfig) -> EvaluationPlan:
    """Plans the evaluation on the test days: baselines on engineered features of the same past.

    Args:
        trained_model: from `tasks.fraud.train.train_model`.
        splits: from `tasks.fraud.data.load`.
        config: settings of the run.
    """

    @cache
    def features() -> pd.DataFrame:
        return feature_table(splits.test, config.split.label_delay_days)

    @cache
    def components() -> Components:
        return compute_scored_components(get_submodels(trained_model.model), splits.test, config)

    baselines = build_baselines(config.training.seed)
    return EvaluationPlan(
        describe=partial(describe, trained_model, splits.test, components, config),
        components={
            name: partial(_predict_component, name, trained_model, components, splits.test)
            for name in trained_model.components
        },
        baselines={name: partial(_predict_baseline, model, features, splits) for name, model in baselines.items()},
    )


def describe(
    trained_model: TrainedModel,
    test: pd.DataFrame,
    components: Callable[[], Components],
    config: FraudConfig,
    predictions: Mapping[str, Predictions],
    scores: Sequence[Score],
) -> Description:
    """Describes the outputs, the alerts of each day, and which inputs caused them.

    Args:
        trained_model: from `tasks.fraud.train.train_model`.
        test: the test split.
        components: function that returns the components of its scored rows.
        config: settings of the run.
        predictions: predictions by model.
        scores: scores of all models.
    """
    is_scored = test["is_scored_row"].to_numpy()
    labels, cards, days = label_groups(test[is_scored])
    probabilities = {name: values["fraud_probability"][is_scored] for name, values in predictions.items()}
    exported, threshold = probabilities[EXPORTED], trained_model.metadata["threshold"]
    by_input = attributions(trained_model.model, trained_model.metadata, components())
    table = alerts_table(labels, exported >= threshold, cards, days)
    is_alert = exported >= min(threshold, exported.max())
    return Description(
        output_description=(
            f"`fraud_probability` is calibrated. `alert` is True from {threshold:.4f} on, the threshold that gave "
            f"{config.evaluation.alerts_per_day} alerts per day on the validation split."
        ),
        notes={
            "alerts per day at the exported threshold": table,
            "mean increase of the log-odds in alerts": {
                name: float(values[is_alert].mean()) for name, values in by_input.items()
            },
            "frauds in the scored transactions": int(labels.sum()),
        },
        plots={
            "precision_recall.png": partial(plots.precision_recall, labels, probabilities),
            "attributions.png": partial(plots.attributions, {name: v[is_alert] for name, v in by_input.items()}),
            "alerts.png": partial(plots.alerts, table, threshold),
        },
    )


def compute_scored_components(
    submodels: Submodels, frame: pd.DataFrame, config: FraudConfig, column: str = "is_scored_row"
) -> Components:
    """Returns the outputs of `tasks.fraud.batches.compute_components` for the selected rows of a table, in its order.

    Args:
        submodels: the submodels.
        frame: table of a split.
        config: settings of the run.
        column: boolean column of the selected rows.
    """
    index = build_transaction_index(frame, config.split.label_delay_days)
    is_selected = frame[column].to_numpy()[index.order]
    table_order = np.argsort(index.order[is_selected], kind="stable")
    components = compute_components(submodels, index, is_selected)
    return components.take(table_order)


def component_logits(submodels: Submodels, components: Components) -> dict[str, np.ndarray]:
    """Returns the logits `(rows,)` of each component, not calibrated: `lstm`, and `trees` if there are any."""
    logits = {"lstm": join_logits(submodels, components)}
    if submodels.trees is not None and components.tree_features is not None:
        logits["trees"] = tree_logits(submodels, components.tree_features)
    return logits


def label_groups(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns label, card id and day of each row; without cards, each transaction is a card of its own."""
    days = frame["time"].to_numpy() // DAY
    cards = np.arange(len(frame)) if (frame["card"] == SINGLE_CARD).all() else pd.factorize(frame["card"])[0]
    return frame["fraud"].to_numpy(np.int64), cards.astype(np.int64), days - days.min()


def card_precision(labels: np.ndarray, probabilities: np.ndarray, cards: np.ndarray, days: np.ndarray, k: int) -> float:
    """Fraction of compromised cards among the k cards with the highest probabilities of each day, mean over the days.

    The probability of a card is its highest of the day; a card that was found is not checked again on later days (Fraud Detection
    Handbook, chapter 4, "Precision top-k").
    """
    key = days * (cards.max() + 1) + cards
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) > 0])  # groups the transactions of a card and day
    highest = np.maximum.reduceat(probabilities[order], starts)
    fraud = np.maximum.reduceat(labels[order], starts) == 1
    card, day = cards[order][starts], days[order][starts]
    fractions, is_detected = [], np.zeros(cards.max() + 1, bool)
    for today in np.unique(day):
        candidates = np.flatnonzero((day == today) & ~is_detected[card])
        top = candidates[np.argsort(-highest[candidates], kind="stable")[:k]]
        fractions.append(fraud[top].sum() / k)
        is_detected[card[top[fraud[top]]]] = True
    return float(np.mean(fractions))


def alerts_table(labels: np.ndarray, is_alert: np.ndarray, cards: np.ndarray, days: np.ndarray) -> dict[str, Any]:
    """Returns for each day the number of alerted cards, of correct alerts, and of compromised cards."""
    rows = {}
    for day in np.unique(days):
        today = days == day
        alerted, compromised = set(cards[today & is_alert]), set(cards[today & (labels == 1)])
        rows[f"day {day + 1}"] = {
            "alerts": len(alerted),
            "correct": len(alerted & compromised),
            "compromised cards": len(compromised),
        }
    return rows


def _nan_if_one_class(compute: Callable[..., float], labels: np.ndarray, values: np.ndarray) -> float:
    """Returns a metric, or NaN for a resample of few frauds that has only one class."""
    return float(compute(labels, values)) if 0 < labels.sum() < len(labels) else float("nan")


def _predict_component(
    name: str, trained_model: TrainedModel, components: Callable[[], Components], test: pd.DataFrame
) -> Predictions:
    """Returns the probabilities of one component alone, with its own calibration."""
    factor, offset = trained_model.components[name]
    logits = component_logits(get_submodels(trained_model.model), components())[name]
    probabilities = np.full(len(test), np.nan)
    probabilities[test["is_scored_row"].to_numpy()] = expit(factor * logits + offset)
    return {"fraud_probability": probabilities}


def _predict_baseline(model: Any, features: Callable[[], pd.DataFrame], splits: Splits) -> Predictions:
    """Fits a baseline to the rows that trained the exported model, and returns its predictions for the test split.

    Args:
        model: classifier of scikit-learn.
        features: function that returns the features of the test table, which begins with the rows of the validation table.
        splits: the splits.
    """
    training_rows = np.flatnonzero(splits.validation["is_training_row"])
    scored_rows = np.flatnonzero(splits.test["is_scored_row"])
    model.fit(features().iloc[training_rows], splits.test["fraud"].to_numpy()[training_rows])
    probabilities = np.full(len(splits.test), np.nan)
    probabilities[scored_rows] = model.predict_proba(features().iloc[scored_rows])[:, 1]
    return {"fraud_probability": probabilities}


def build_baselines(seed: int) -> dict[str, Any]:
    """Returns the baselines by name, before training; their settings were chosen on the validation weeks without a search."""
    return {
        "logistic_regression": make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)
        ),
        "random_forest": RandomForestClassifier(300, min_samples_leaf=2, n_jobs=-1, random_state=seed),
        "histogram_gradient_boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
        ),
    }
