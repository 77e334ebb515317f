"""Scores the sentiment model on the test split, beside baselines that are fitted to the same training split."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from shared.data.classes import class_ids
from shared.data.sources import Splits
from shared.evaluation import plots, scoring
from shared.evaluation.calibration import undo_temperature
from shared.evaluation.classification import CLASSIFICATION_METRICS, expected_calibration_error, scores_by_class
from shared.evaluation.metric import Score
from shared.evaluation_run import signature_predictor
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from shared.text.characters import unspaced_ranges
from shared.text.markup import TAG
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.ngrams import NaiveBayesLogisticRegression
from tasks.sentiment.serving import export_spec, predict_texts

MAX_LISTED_CLASSES = 30
PUNCTUATION = r"[.,!?;:()\"*/-]"


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the probabilities of any model.

    Args:
        records: columns `text` and `label`; every label is a class of the model.
        predictions: `probabilities` float `(texts, classes)`, each row sums to 1.
        metadata: `labels`, the classes in the order of the probabilities.
    """
    labels = class_ids(records["label"], metadata["labels"])
    return scoring.score(EXPORTED, labels, np.asarray(predictions["probabilities"]), CLASSIFICATION_METRICS)


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: SentimentConfig) -> EvaluationPlan:
    """Plans the evaluation on the test split: the LSTM alone, and baselines that are fitted to the same training split.

    Args:
        trained_model: from `tasks.sentiment.train.train_model`.
        splits: columns `text` and `label`.
        config: options of the run.
    """
    classes, texts = trained_model.metadata["labels"], splits.test["text"].tolist()
    return EvaluationPlan(
        describe=partial(describe, trained_model, class_ids(splits.test["label"], classes)),
        components={
            name: partial(_predict_component, model, trained_model.metadata, texts)
            for name, model in trained_model.components.items()
        },
        baselines={
            name: partial(_predict_baseline, function, splits, classes) for name, function in baselines().items()
        },
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


def _list_classes(classes: Sequence[str]) -> str:
    if len(classes) <= MAX_LISTED_CLASSES:
        return ", ".join(classes)
    return f"{', '.join(classes[:MAX_LISTED_CLASSES])} … {len(classes)} in total, which task.json lists"


def baselines() -> dict[str, Callable[[Splits, Sequence[str]], np.ndarray]]:
    """Returns the baselines by name: functions from splits and classes to probabilities of the test split."""
    return {
        "majority": _predict_majority,
        "tfidf_logistic_regression": _predict_tfidf,
        "nb_logistic_regression": _predict_naive_bayes,
    }


def _predict_component(model: Any, metadata: dict[str, Any], texts: Sequence[str]) -> Predictions:
    spec = export_spec(model, metadata)
    return predict_texts(texts, signature_predictor(spec, "serving_default"))


def _predict_baseline(
    function: Callable[[Splits, Sequence[str]], np.ndarray], splits: Splits, classes: Sequence[str]
) -> Predictions:
    return {"probabilities": function(splits, classes)}


def _predict_majority(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    model = DummyClassifier(strategy="prior").fit(splits.train[["text"]], class_ids(splits.train["label"], classes))
    return np.asarray(model.predict_proba(splits.test[["text"]]))


def _predict_tfidf(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=_token_pattern(), preprocessor=_remove_markup
    )
    features = vectorizer.fit_transform(splits.train["text"])
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(features, class_ids(splits.train["label"], classes))
    return np.asarray(model.predict_proba(vectorizer.transform(splits.test["text"])))


def _predict_naive_bayes(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    vectorizer = CountVectorizer(
        ngram_range=(1, 3),
        min_df=2,
        binary=True,
        dtype=np.float32,
        token_pattern=_token_pattern(),
        preprocessor=_remove_markup,
    )
    train = vectorizer.fit_transform(splits.train["text"])
    validation, test = (vectorizer.transform(frame["text"]) for frame in (splits.validation, splits.test))
    model = NaiveBayesLogisticRegression().fit(
        train,
        class_ids(splits.train["label"], classes),
        validation,
        class_ids(splits.validation["label"], classes),
    )
    return np.asarray(softmax(model.logits(test), axis=1))


def _token_pattern() -> str:
    """Returns a pattern of words and punctuation marks; a character of a script without spaces between words is a word."""
    unspaced = unspaced_ranges()
    letter = rf"[^\W_{unspaced}]"
    return rf"[{unspaced}]|{letter}+(?:'{letter}+)?|{PUNCTUATION}"


def _remove_markup(text: str) -> str:
    return re.sub(TAG, " ", text.lower())
