"""Scores the sentiment model on the test split, beside baselines that are fitted to the same training split."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from shared.data.classes import class_ids
from shared.data.sources import Splits
from shared.evaluation import plots
from shared.evaluation.calibration import undo_temperature
from shared.evaluation.classification import CLASSIFICATION_METRICS, expected_calibration_error
from shared.evaluation.scoring import score
from shared.task import Evaluation, TrainedModel
from shared.text.separation import separate_words
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.ngrams import NaiveBayesLogisticRegression

BATCH_SIZE = 128
TOKEN_PATTERN = r"[^\W_]+(?:'[^\W_]+)?|[.,!?;:()\"*/-]"  # words and punctuation marks, as in the model


def evaluate(trained_model: TrainedModel, splits: Splits, config: SentimentConfig) -> Evaluation:
    """Scores the exported model, its components and the baselines on the test split with the same metrics.

    Args:
        trained_model: from `tasks.sentiment.train.train_model`.
        splits: columns `text` and `label`.
        config: options of the run.
    """
    classes = trained_model.metadata["labels"]
    labels, texts = class_ids(splits.test["label"], classes), splits.test["text"].tolist()
    probabilities = predict(trained_model.model, texts)
    scores = score("exported", labels, probabilities, CLASSIFICATION_METRICS)
    calibration = {}
    for name, model in trained_model.components.items():
        calibrated = predict(model, texts)
        scores += score(name, labels, calibrated, CLASSIFICATION_METRICS)
        uncalibrated = undo_temperature(calibrated, trained_model.notes["mixture weights"][f"{name} alone"])
        calibration[name] = {
            "before": expected_calibration_error(labels, uncalibrated),
            "after": expected_calibration_error(labels, calibrated),
        }
    minutes = {}
    for name, baseline in baselines().items():
        started = time.monotonic()
        scores += score(name, labels, baseline(splits, classes), CLASSIFICATION_METRICS)
        minutes[name] = (time.monotonic() - started) / 60
    return Evaluation(
        scores,
        output_description=f"Labels: {', '.join(classes)} (the order of `probabilities`).",
        plots={
            "reliability.png": partial(plots.reliability, labels, probabilities),
            "confusion.png": partial(plots.confusion, labels, probabilities, classes),
        },
        notes={"expected calibration error on the test split": calibration, "minutes per baseline": minutes},
    )


def baselines() -> dict[str, Callable[[Splits, Sequence[str]], np.ndarray]]:
    """Returns the baselines by name: functions from splits and classes to probabilities of the test split."""
    return {
        "majority": _predict_majority,
        "tfidf_logistic_regression": _predict_tfidf,
        "nb_logistic_regression": _predict_naive_bayes,
    }


def predict(model: Any, texts: Sequence[str]) -> np.ndarray:
    """Returns the probabilities `(texts, classes)` of a Keras model; a batch has texts of similar length."""
    import tensorflow as tf

    order = np.argsort([len(text) for text in texts], kind="stable")
    function = tf.function(lambda text: model(separate_words(text)), input_signature=[tf.TensorSpec([None], tf.string)])
    batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
    outputs = np.concatenate([function(tf.constant([texts[k] for k in batch])).numpy() for batch in batches])
    probabilities = np.empty_like(outputs)
    probabilities[order] = outputs
    return probabilities


def _predict_majority(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    model = DummyClassifier(strategy="prior").fit(splits.train[["text"]], class_ids(splits.train["label"], classes))
    return np.asarray(model.predict_proba(splits.test[["text"]]))


def _predict_tfidf(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=TOKEN_PATTERN, preprocessor=_remove_markup
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
        token_pattern=TOKEN_PATTERN,
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


def _remove_markup(text: str) -> str:
    return re.sub("<[^<>]*>", " ", text.lower())
