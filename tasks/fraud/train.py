"""Trains the fraud model, and declares the task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from shared.data.sources import Splits
from shared.streams import SequenceStream
from shared.task import StateCommands, Task, TrainedModel
from shared.training import loop
from shared.training.checkpoints import History
from tasks.fraud import model, serving, state
from tasks.fraud.batches import Components, WindowBatches
from tasks.fraud.config import FraudConfig, FraudSplitConfig
from tasks.fraud.evaluate import (
    METRICS,
    component_logits,
    compute_scored_components,
    label_groups,
    plan_evaluation,
    score,
)
from tasks.fraud.split import is_whole_days
from tasks.fraud.transaction_index import build_transaction_index
from tasks.fraud.trees import build_tree_model, choose_tree_count, fit_trees

MAX_AMOUNT_EDGES = 6
MIN_CATEGORY_COUNT = 10
RATE_PRIOR = 20.0
MIN_WEIGHT = 1e-3


def train_model(config: FraudConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains twice: on an earlier span, to choose epoch, calibration and threshold; then on the newest span for the export.

    The classes are not rebalanced: the log loss over all transactions, from an initial output at the rate of fraud, gives calibrated
    probabilities.

    Args:
        config: settings of the run.
        splits: from `tasks.fraud.data.load`; the test split is not used.
        folder: folder for logs and checkpoints.
    """
    selection_folder = folder / "selection"
    builder, history = _train(config, splits.train, splits.validation, selection_folder, config.training.epochs)
    labels, cards, days = label_groups(splits.validation[splits.validation["is_scored_row"]])
    components = compute_scored_components(builder.submodels, splits.validation, config)
    trees, tree_count = _select_trees(config, builder, splits.train, components, labels)
    logits = component_logits(dataclasses.replace(builder.submodels, trees=trees), components)
    *weights, offset = calibrate(np.stack(list(logits.values()), axis=1), labels)
    probabilities = expit(sum(w * values for w, values in zip(weights, logits.values(), strict=True)) + offset)
    threshold = find_threshold(probabilities, cards, days, config.evaluation.alerts_per_day)
    exported, _ = _train(config, splits.validation, None, folder, history.best_epoch)
    if tree_count:
        trees = build_tree_model(_fit_trees(config, exported, splits.validation, tree_count))
    metadata = {
        "alerts_per_day": config.evaluation.alerts_per_day,
        "calibration": (weights[0], offset),
        "threshold": threshold,
        "terminal_history_length": config.features.terminal_history_length,
        **training_days(splits.validation, config.split),
        **exported.metadata,
    }
    return TrainedModel(
        model=exported.full_model((weights[0], offset), trees, weights[-1]),
        metadata=metadata,
        history=history,
        components={name: calibrate(values[:, None], labels) for name, values in logits.items() if tree_count},
        notes={
            "threshold": threshold,
            "mixture weights": dict(zip(logits, weights, strict=True)),
            "offset of the logits": offset,
            "boosted trees": tree_count,
            "epochs of the exported model": history.best_epoch,
            "weights": "last epoch of the training on the newest days",
        },
    )


def _select_trees(
    config: FraudConfig,
    builder: model.SubmodelBuilder,
    frame: pd.DataFrame,
    validation: Components,
    labels: np.ndarray,
) -> tuple[keras.Model | None, int]:
    """Returns boosted trees that are fitted to the training rows of a table, and their number, which has the lowest log loss on the
    validation split; None and 0 if the options disable trees."""
    if not config.model.max_trees:
        return None, 0
    assert validation.tree_features is not None
    classifier = _fit_trees(config, builder, frame, config.model.max_trees)
    count = choose_tree_count(classifier, validation.tree_features, labels)
    return build_tree_model(classifier, count), count


def _fit_trees(
    config: FraudConfig, builder: model.SubmodelBuilder, frame: pd.DataFrame, count: int
) -> HistGradientBoostingClassifier:
    """Fits `count` boosted trees to the training rows of a table."""
    features = compute_scored_components(builder.submodels, frame, config, "is_training_row").tree_features
    assert features is not None
    return fit_trees(features, frame["fraud"][frame["is_training_row"]].to_numpy(), count, config.training.seed)


def compute_metadata(config: FraudConfig, frame: pd.DataFrame) -> dict[str, Any]:
    """Computes what the model needs to know about its training rows (see `tasks.fraud.model.SubmodelBuilder`)."""
    rows = frame[frame["is_training_row"]]
    numeric = {}
    for name in config.columns.numeric_fields:
        mean, deviation = rows[name].mean(), rows[name].std(ddof=0)
        numeric[name] = (_finite_or(mean, 0.0), _finite_or(deviation, 1.0) or 1.0)
    categories = {name: known_categories(rows[name]) for name in config.columns.categorical_fields}
    return {
        "amount_edges": amount_edges(rows["amount"].to_numpy(), rows["fraud"].to_numpy()),
        "label_delay_days": config.split.label_delay_days,
        "amount_scale": max(float(rows["amount"].abs().mean()), 1e-6),
        "fraud_rate": float(np.clip(rows["fraud"].mean(), 1e-6, 0.5)),
        "numeric": numeric,
        "categorical": categories,
        "category_rates": {
            name: category_rates(rows[name], rows["fraud"], known) for name, known in categories.items()
        },
        "terminal": "terminal" in frame,
    }


def training_days(frame: pd.DataFrame, split: FraudSplitConfig) -> dict[str, str]:
    """Returns the first and the last day of the training rows of a table: `trained_from` and `trained_until`, as YYYY-MM-DD; for a split
    by hours their hours, as YYYY-MM-DDTHH."""
    seconds = frame["time"].to_numpy()[frame["is_training_row"].to_numpy()]
    unit = "D" if is_whole_days(split) else "h"
    first, last = (
        str(np.datetime64(int(time), "s").astype(f"datetime64[{unit}]")) for time in (seconds.min(), seconds.max())
    )
    return {"trained_from": first, "trained_until": last}


def known_categories(values: pd.Series) -> list[str]:
    """Returns the categories that occur at least `MIN_CATEGORY_COUNT` times; the others train the embedding of unknown values."""
    counts = values[values != ""].value_counts()
    return sorted(counts.index[counts >= MIN_CATEGORY_COUNT]) or [""]


def category_rates(values: pd.Series, labels: pd.Series, categories: list[str]) -> list[float]:
    """Returns the fraud rate of each category, smoothed by `RATE_PRIOR` transactions with the rate of all (Micci-Barreca, 2001)."""
    groups = labels.groupby(values.to_numpy()).agg(["sum", "size"]).reindex(categories, fill_value=0)
    rates = (groups["sum"] + RATE_PRIOR * labels.mean()) / (groups["size"] + RATE_PRIOR)
    return [float(rate) for rate in rates]


def amount_edges(amounts: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns the amounts at which a small decision tree separates fraud from the rest (Gorishniy et al., 2022)."""
    tree = DecisionTreeClassifier(max_leaf_nodes=MAX_AMOUNT_EDGES + 1, min_samples_leaf=10, random_state=0)
    tree.fit(amounts.reshape(-1, 1), labels)
    return sorted(float(edge) for edge in tree.tree_.threshold[tree.tree_.feature >= 0])


def calibrate(logits: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Returns a factor for the logits of each model, and an offset, with the smallest log loss of their weighted sum.

    For one model this is Platt scaling (1999), for several a weighted product of experts. A normal prior with deviation 1 around equal
    factors and no offset keeps them finite where the validation split has few frauds and a model makes no mistake. No factor is below
    `MIN_WEIGHT`.

    Args:
        logits: float `(rows, models)` on the validation split.
        labels: 0 or 1 `(rows,)`.
    """
    models = logits.shape[1]
    inputs = np.c_[logits, np.ones(len(logits))].astype(np.float64)
    prior = np.r_[np.full(models, 1 / models), 0.0]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed, difference = inputs @ weights, weights - prior
        gradient = inputs.T @ (expit(mixed) - labels) + difference
        return float(np.sum(np.logaddexp(0, mixed) - labels * mixed) + difference @ difference / 2), gradient

    bounds = [(MIN_WEIGHT, None)] * models + [(None, None)]
    result = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    return tuple(float(weight) for weight in result.x)


def find_threshold(probabilities: np.ndarray, cards: np.ndarray, days: np.ndarray, alerts_per_day: int) -> float:
    """Returns the probability that `alerts_per_day` cards reach, on average over the days; a card counts once per day."""
    highest = pd.Series(probabilities).groupby([days, cards]).max().sort_values(ascending=False).to_numpy()
    count = alerts_per_day * len(np.unique(days))
    if count >= len(highest):
        return float(highest[-1])
    return float((highest[count - 1] + highest[count]) / 2)


def _train(
    config: FraudConfig, frame: pd.DataFrame, held_out: pd.DataFrame | None, folder: Path, epochs: int
) -> tuple[model.SubmodelBuilder, History]:
    """Trains on the training rows of a table, with early stopping on the scored rows of `held_out` if given."""
    keras.utils.set_random_seed(config.training.seed)  # the second training starts from the same seed
    builder = model.SubmodelBuilder(config, compute_metadata(config, frame))
    training_model = builder.training_model()
    batches = _build_batches(config, builder, frame, "is_training_row")
    validation = None
    if held_out is not None:
        validation = _build_batches(config, builder, held_out, "is_scored_row").evaluation_batches()
    min_steps = config.training.min_steps * epochs // config.training.epochs  # the same number of steps per epoch
    history = loop.fit(
        training_model,
        batches,
        validation,
        dataclasses.replace(config.training, epochs=epochs, min_steps=min_steps),
        folder,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return builder, history


def _build_batches(
    config: FraudConfig, builder: model.SubmodelBuilder, frame: pd.DataFrame, column: str
) -> WindowBatches:
    index = build_transaction_index(frame, config.split.label_delay_days)
    is_selected = frame[column].to_numpy()[index.order]
    batch_size, seed = config.training.batch_size, config.training.seed
    return WindowBatches(index, is_selected, config.features, builder, batch_size, seed)


def _finite_or(value: float, default: float) -> float:
    return float(value) if np.isfinite(value) else default


TASK = Task(
    name="fraud",
    train=train_model,
    export_spec=serving.export_spec,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    stream=lambda predictors, _: SequenceStream.of_example(predictors, ("card_state", "card_time"), True),
    state=StateCommands(state.update, state.label, state.show),
    primary_metric="average_precision",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "The model knows the kinds of fraud in its training data; a new kind looks genuine until the training days contain labels of "
        "it. No model can detect fraud at a terminal that was compromised within the label delay. Probabilities are calibrated to the "
        "rate of fraud on the validation days: train again when this rate changes. A high score is a reason to investigate a "
        "transaction, not a reason to reject a person."
    ),
)
