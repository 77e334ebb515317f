"""Scores models that predict any number of labels per text, beside baselines with thresholds chosen in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from shared.data.classes import class_targets
from shared.data.sources import Splits
from shared.evaluation import plots, scoring
from shared.evaluation.metric import Score
from shared.evaluation.multilabel import (
    DEFAULT_THRESHOLD,
    F1_MACRO,
    MULTILABEL_METRICS,
    as_decisions,
    choose_thresholds,
    expected_calibration_error,
    scores_by_label,
)
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from tasks.sentiment.baselines import Baseline, baselines

PredictComponent = Callable[[Any, dict[str, Any], Sequence[str]], Predictions]
"""Function from Keras model, metadata and texts to predictions."""


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the predictions of any model.

    Args:
        records: columns `text` and `label`, sets of labels that are classes of the model.
        predictions: `probabilities` float `(texts, classes)`, and `has_label` bool `(texts, classes)`, True for predicted labels.
        metadata: `labels`, the classes in the order of the probabilities.
    """
    labels = class_targets(records["label"], metadata["labels"])
    probabilities, has_label = np.asarray(predictions["probabilities"]), np.asarray(predictions["has_label"])
    return scoring.score(EXPORTED, labels, probabilities, MULTILABEL_METRICS, has_label)


def plan_evaluation(
    trained_model: TrainedModel, splits: Splits, predict_component: PredictComponent, list_classes: Callable[..., str]
) -> EvaluationPlan:
    """Plans the evaluation on the test split: the LSTM alone, and baselines that are fitted to the same training split.

    Args:
        trained_model: from `tasks.sentiment.train.train_model`.
        splits: columns `text` and `label`, sets of labels.
        predict_component: computes the predictions of a component.
        list_classes: function from classes to text.
    """
    metadata, texts = trained_model.metadata, splits.test["text"].tolist()
    thresholds = trained_model.notes["thresholds"]
    return EvaluationPlan(
        describe=partial(
            _describe, trained_model, class_targets(splits.test["label"], metadata["labels"]), list_classes
        ),
        components={
            name: partial(predict_component, model, {**metadata, "thresholds": thresholds[name]}, texts)
            for name, model in trained_model.components.items()
        },
        baselines={
            name: partial(_predict_baseline, name, fit, splits, metadata["labels"]) for name, fit in baselines().items()
        },
        primary_metric=F1_MACRO.name,
    )


def _predict_baseline(
    name: str, fit: Callable[[Splits, Sequence[str]], Baseline], splits: Splits, classes: Sequence[str]
) -> Predictions:
    """Returns the predictions of a baseline; the validation split sets its thresholds, but `majority` predicts what most texts have."""
    predict = fit(splits, classes)
    thresholds: Any = DEFAULT_THRESHOLD
    if name != "majority":
        thresholds = choose_thresholds(class_targets(splits.validation["label"], classes), predict(splits.validation))
    probabilities = predict(splits.test)
    return {"probabilities": probabilities, "has_label": probabilities >= thresholds}


def _describe(
    trained_model: TrainedModel,
    labels: np.ndarray,
    list_classes: Callable[..., str],
    predictions: Mapping[str, Predictions],
    scores: Sequence[Score],
) -> Description:
    classes, thresholds = trained_model.metadata["labels"], np.array(trained_model.metadata["thresholds"])
    probabilities, has_label = (np.asarray(predictions[EXPORTED][name]) for name in ("probabilities", "has_label"))
    by_label = scores_by_label(labels, probabilities, has_label, classes, thresholds)
    calibration = {}
    for name in trained_model.components:
        calibrated, predicted = (np.asarray(predictions[name][key]) for key in ("probabilities", "has_label"))
        limited = np.clip(calibrated.astype(np.float64), 1e-12, 1 - 1e-12)
        uncalibrated = expit(logit(limited) / trained_model.notes["mixture weights"][f"{name} alone"])
        calibration[name] = {
            "before": expected_calibration_error(labels, uncalibrated, predicted),
            "after": expected_calibration_error(labels, calibrated, predicted),
        }
    return Description(
        output_description=(
            f"A text may have any number of labels: {list_classes(classes)} (the order of `probabilities`). It gets those whose "
            "probability reaches the threshold of the label, which has the best F1 on the validation split."
        ),
        notes={
            "expected calibration error on the test split": calibration,
            "classes on the test split": by_label,
        },
        plots={
            "reliability.png": partial(plots.reliability, *as_decisions(labels, probabilities)),
            "labels.png": partial(plots.scores_by_label, by_label),
        },
    )
