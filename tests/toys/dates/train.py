"""A task from sequence to sequence that the contract tests run like the tasks of the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from shared.config import PredictOptions
from shared.data.sources import Splits
from shared.evaluation import plots, scoring
from shared.evaluation.metric import Metric, Score
from shared.task import (
    EXPORTED,
    Description,
    EvaluationPlan,
    ExportSpec,
    Inputs,
    Predictions,
    Predictor,
    Task,
    TrainedModel,
)
from tests.toys import translator
from tests.toys.dates.config import DatesConfig

EXAMPLES = ("3 May 1999", "28 November 2031")
METRICS = [
    Metric(
        "exact_match", "exact match", "%", decimals=1, compute=lambda expected, texts: float(np.mean(expected == texts))
    )
]


def train_model(config: DatesConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains the translator."""
    pairs, validation = (list(frame.itertuples(index=False, name=None)) for frame in (splits.train, splits.validation))
    model, history = translator.train(pairs, validation, config.training, folder)
    return TrainedModel(model, {}, history)


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the translator."""
    return translator.export_spec(model, metadata)


def predict(
    texts: Sequence[str], metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns the ISO forms of dates, the most probable character at each step, with their log-probabilities."""
    return predictor({"text": np.array([text.encode() for text in texts], object)})


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `text` and `log_probability`."""
    texts = np.array([text.decode() for text in predictions["text"]], object)
    return pd.DataFrame({"text": texts, "log_probability": predictions["log_probability"]})


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the ISO forms of the column `source`."""
    return predict(records["source"].tolist(), metadata, predictor, PredictOptions())


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores texts by the fraction that equals the column `target`."""
    expected = np.array([text.encode() for text in records["target"]], object)
    return scoring.score(EXPORTED, expected, np.asarray(predictions["text"], object), METRICS)


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: DatesConfig) -> EvaluationPlan:
    """Compares the translator with a copy of the input."""

    def describe(predictions: Mapping[str, Predictions], scores: Sequence[Score]) -> Description:
        return Description(
            "`text` is the date in ISO 8601.", plots={"log_probability.png": partial(_plot, predictions)}
        )

    copies = {"text": np.array([text.encode() for text in splits.test["source"]], object)}
    return EvaluationPlan(describe, baselines={"copy": lambda: copies})


def _plot(predictions: Mapping[str, Predictions], path: Path) -> None:
    figure, (axis,) = plots.new_figure(1)
    axis.hist(predictions[EXPORTED]["log_probability"], bins=20)
    axis.set(xlabel="log-probability", ylabel="dates")
    plots.save(figure, path)


TASK = Task(
    name="dates",
    train=train_model,
    export_spec=export_spec,
    predict=predict,
    prediction_table=prediction_table,
    predict_labelled=predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    primary_metric="exact_match",
    example_inputs=EXAMPLES,
    limitations="It knows only dates in this form.",
)
