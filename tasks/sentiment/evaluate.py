"""Scores the sentiment model on the test split, beside baselines that are fitted to the same training split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from shared.data.classes import class_ids
from shared.data.sources import Splits
from shared.evaluation import plots, scoring
from shared.evaluation.calibration import undo_temperature
from shared.evaluation.classification import CLASSIFICATION_METRICS, expected_calibration_error, scores_by_class
from shared.evaluation.metric import Score
from shared.evaluation.multilabel import MULTILABEL_METRICS
from shared.evaluation_run import signature_predictor
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from tasks.sentiment import multilabel
from tasks.sentiment.baselines import Baseline, baselines
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.labels import is_multilabel
from tasks.sentiment.serving import export_spec, predict_texts

MAX_LISTED_CLASSES = 30
METRICS = tuple({metric.name: metric for metric in (*CLASSIFICATION_METRICS, *MULTILABEL_METRICS)}.values())
"""Metrics of models with one label per text, and with any number of labels."""


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the probabilities of any model.

    Args:
        records: columns `text` and `label`; every label is a class of the model.
        predictions: `probabilities` float `(texts, classes)`, each row sums to 1. If a text may have several labels, see
            `tasks.sentiment.multilabel.score`.
        metadata: `labels`, the classes in the order of the probabilities.
    """
    if is_multilabel(metadata):
        return multilabel.score(records, predictions, metadata)
    labels = class_ids(records["label"], metadata["labels"])
    return scoring.score(EXPORTED, labels, np.asarray(predictions["probabilities"]), CLASSIFICATION_METRICS)


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: SentimentConfig) -> EvaluationPlan:
    """Plans the evaluation on the test split: the LSTM alone, and baselines that are fitted to the same training split.

    Args:
        trained_model: from `tasks.sentiment.train.train_model`.
        splits: columns `text` and `label`.
        config: options of the run.
    """
    if is_multilabel(trained_model.metadata):
        return multilabel.plan_evaluation(trained_model, splits, _predict_component, _list_classes)
    classes, texts = trained_model.metadata["labels"], splits.test["text"].tolist()
    return EvaluationPlan(
        describe=partial(describe, trained_model, class_ids(splits.test["label"], classes)),
        components={
            name: partial(_predict_component, model, trained_model.metadata, texts)
            for name, model in trained_model.components.items()
        },
        baselines={name: partial(_predict_baseline, fit, splits, classes) for name, fit in baselines().items()},
    )


def describe(
    trained_model: TrainedModel, labels: np.ndarray, predictions: Mapping[str, Predictions], scores: Sequence[Score]
) -> Description:
    """Describes the outputs, the reliability of the probabilities, and the errors.

    Args:
        trained_model: from `tasks.sentiment.train.train_model`.
        labels: class ids of the test split, int `(texts,)`.
        predictions: predictions by model.
        scores: scores of all models.
    """
    classes, probabilities = trained_model.metadata["labels"], predictions[EXPORTED]["probabilities"]
    calibration = {}
    for name in trained_model.components:
        calibrated = predictions[name]["probabilities"]
        uncalibrated = undo_temperature(calibrated, trained_model.notes["mixture weights"][f"{name} alone"])
        calibration[name] = {
            "before": expected_calibration_error(labels, uncalibrated),
            "after": expected_calibration_error(labels, calibrated),
        }
    return Description(
        output_description=f"Labels: {_list_classes(classes)} (the order of `probabilities`).",
        notes={
            "expected calibration error on the test split": calibration,
            "classes on the test split": scores_by_class(labels, probabilities, classes),
        },
        plots={
            "reliability.png": partial(plots.reliability, labels, probabilities),
            "confusion.png": partial(plots.confusion, labels, probabilities, classes),
        },
    )


def _predict_baseline(
    fit: Callable[[Splits, Sequence[str]], Baseline], splits: Splits, classes: Sequence[str]
) -> Predictions:
    return {"probabilities": fit(splits, classes)(splits.test)}


def _list_classes(classes: Sequence[str]) -> str:
    if len(classes) <= MAX_LISTED_CLASSES:
        return ", ".join(classes)
    return f"{', '.join(classes[:MAX_LISTED_CLASSES])} … {len(classes)} in total, which task.json lists"


def _predict_component(model: Any, metadata: dict[str, Any], texts: Sequence[str]) -> Predictions:
    spec = export_spec(model, metadata)
    return predict_texts(texts, signature_predictor(spec, "serving_default"))
