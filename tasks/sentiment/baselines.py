"""Baselines that are fitted to the training split: class frequencies, and linear models of words and n-grams."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from shared.data.classes import class_targets
from shared.data.sources import Splits
from shared.text.characters import unspaced_ranges
from shared.text.markup import TAG
from tasks.sentiment.ngrams import NaiveBayesLogisticRegression

PUNCTUATION = r"[.,!?;:()\"*/-]"

Baseline = Callable[[pd.DataFrame], np.ndarray]
"""A fitted baseline: function from a table with the column `text` to probabilities `(texts, classes)`."""


def baselines() -> dict[str, Callable[[Splits, Sequence[str]], Baseline]]:
    """Returns functions by name that fit a baseline to the training split, from splits and classes."""
    return {
        "majority": _fit_majority,
        "tfidf_logistic_regression": _fit_tfidf,
        "nb_logistic_regression": _fit_naive_bayes,
    }


def _fit_majority(splits: Splits, classes: Sequence[str]) -> Baseline:
    targets = class_targets(splits.train["label"], classes)
    if targets.ndim == 2:
        frequencies = targets.mean(axis=0, dtype=np.float64)
        return lambda frame: np.tile(frequencies, (len(frame), 1))
    model = DummyClassifier(strategy="prior").fit(splits.train[["text"]], targets)
    return lambda frame: np.asarray(model.predict_proba(frame[["text"]]))


def _fit_tfidf(splits: Splits, classes: Sequence[str]) -> Baseline:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=_token_pattern(), preprocessor=_remove_markup
    )
    features = vectorizer.fit_transform(splits.train["text"])
    targets, model = class_targets(splits.train["label"], classes), LogisticRegression(C=10, max_iter=1000)
    if targets.ndim == 2:
        model = OneVsRestClassifier(model)
        targets = targets.astype(int)
    model.fit(features, targets)
    return lambda frame: np.asarray(model.predict_proba(vectorizer.transform(frame["text"])))


def _fit_naive_bayes(splits: Splits, classes: Sequence[str]) -> Baseline:
    vectorizer = CountVectorizer(
        ngram_range=(1, 3),
        min_df=2,
        binary=True,
        dtype=np.float32,
        token_pattern=_token_pattern(),
        preprocessor=_remove_markup,
    )
    train = vectorizer.fit_transform(splits.train["text"])
    targets, validation_targets = (
        class_targets(frame["label"], classes) for frame in (splits.train, splits.validation)
    )
    validation = vectorizer.transform(splits.validation["text"])
    model = NaiveBayesLogisticRegression().fit(train, targets, validation, validation_targets)
    return lambda frame: model.probabilities(vectorizer.transform(frame["text"]), targets.ndim == 2)


def _token_pattern() -> str:
    """Returns a pattern of words and punctuation marks; a character of a script without spaces between words is a word."""
    unspaced = unspaced_ranges()
    letter = rf"[^\W_{unspaced}]"
    return rf"[{unspaced}]|{letter}+(?:'{letter}+)?|{PUNCTUATION}"


def _remove_markup(text: str) -> str:
    return re.sub(TAG, " ", text.lower())
