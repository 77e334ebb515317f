"""The sentiment model on the test split, beside baselines trained_model on the same training split."""

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

from shared import evaluation, plots
from shared.classes import class_ids
from shared.evaluation import CLASSIFICATION_METRICS
from shared.sources import Splits
from shared.task import Evaluation, TrainedModel
from shared.text import separate_words
from tasks.sentiment.ngrams import NaiveBayesLogisticRegression

BATCH = 128
TOKENS = r"[^\W_]+(?:'[^\W_]+)?|[.,!?;:()\"*/-]"  # words and marks, as the model has them


def evaluate(trained_model: TrainedModel, splits: Splits, config: Any) -> Evaluation:
    """Scores the exported model, its parts and the baselines on the test split by the same metrics.

    Args:
        trained_model: from `tasks.sentiment.train.fit`.
        splits: columns `text` and `label`.
        config: the run's `SentimentConfig`.
    """
    classes = trained_model.metadata["labels"]
    labels = class_ids(splits.test["label"], classes)
    probabilities = predict(trained_model.model, splits.test["text"].tolist())
    scores = evaluation.score("exported", labels, probabilities, CLASSIFICATION_METRICS)
    calibration = {}
    for name, model in trained_model.components.items():
        calibrated = predict(model, splits.test["text"].tolist())
        scores += evaluation.score(name, labels, calibrated, CLASSIFICATION_METRICS)
        factor = trained_model.notes["factors of the logits"][f"{name} by itself"]
        calibration[name] = {
            "before": evaluation.expected_calibration_error(labels, evaluation.undo_temperature(calibrated, factor)),
            "after": evaluation.expected_calibration_error(labels, calibrated),
        }
    minutes = {}
    for name, baseline in baselines().items():
        started = time.monotonic()
        scores += evaluation.score(name, labels, baseline(splits, classes), CLASSIFICATION_METRICS)
        minutes[name] = (time.monotonic() - started) / 60
    return Evaluation(
        scores,
        output_description=f"Labels: {', '.join(classes)} (the order of `probabilities`).",
        plots={
            "reliability.png": partial(plots.reliability, labels, probabilities),
            "confusion.png": partial(plots.confusion, labels, probabilities, classes),
        },
        notes={"expected calibration error on test": calibration, "minutes of the baselines": minutes},
    )


def baselines() -> dict[str, Callable[[Splits, Sequence[str]], np.ndarray]]:
    """Returns the baselines by name; each fits on the training split and returns test probabilities."""
    return {"majority": _majority, "tfidf_logistic_regression": _tfidf, "nb_logistic_regression": _naive_bayes}


def predict(model: Any, texts: Sequence[str]) -> np.ndarray:
    """Returns a Keras model's probabilities `(texts, classes)`, texts of like length together, order kept."""
    import tensorflow as tf

    order = np.argsort([len(text) for text in texts], kind="stable")
    call = tf.function(lambda text: model(separate_words(text)), input_signature=[tf.TensorSpec([None], tf.string)])
    parts = [call(tf.constant([texts[k] for k in order[i : i + BATCH]])).numpy() for i in range(0, len(order), BATCH)]
    probabilities = np.empty_like(np.concatenate(parts))
    probabilities[order] = np.concatenate(parts)
    return probabilities


def _majority(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    model = DummyClassifier(strategy="prior").fit(splits.train[["text"]], class_ids(splits.train["label"], classes))
    return np.asarray(model.predict_proba(splits.test[["text"]]))


def _tfidf(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=TOKENS, preprocessor=_without_markup
    )
    features = vectorizer.fit_transform(splits.train["text"])
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(features, class_ids(splits.train["label"], classes))
    return np.asarray(model.predict_proba(vectorizer.transform(splits.test["text"])))


def _naive_bayes(splits: Splits, classes: Sequence[str]) -> np.ndarray:
    vectorizer = CountVectorizer(
        ngram_range=(1, 3),
        min_df=2,
        binary=True,
        dtype=np.float32,
        token_pattern=TOKENS,
        preprocessor=_without_markup,
    )
    train, validation, test = (
        vectorizer.fit_transform(frame["text"]) if k == 0 else vectorizer.transform(frame["text"])
        for k, frame in enumerate((splits.train, splits.validation, splits.test))
    )
    model = NaiveBayesLogisticRegression().fit(
        train,
        class_ids(splits.train["label"], classes),
        validation,
        class_ids(splits.validation["label"], classes),
    )
    return np.asarray(softmax(model.logits(test), axis=1))


def _without_markup(text: str) -> str:
    return re.sub("<[^<>]*>", " ", text.lower())
