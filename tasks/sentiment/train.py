"""Trains the sentiment task: `python -m tasks.sentiment.train` is `lstm-suite train sentiment`."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp

from shared import cli, evaluation, training
from shared.adversarial import AdversarialTraining
from shared.classes import class_ids
from shared.embeddings import word_vectors
from shared.errors import SuiteError
from shared.pipelines import SequenceBatches
from shared.pretraining import STRETCH, pretrain
from shared.sources import Splits
from shared.task import Task, TrainedModel
from tasks.sentiment import data, model, ngrams, serving
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.evaluate import evaluate


def train_model(config: SentimentConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Learns the vocabulary, trains the LSTM, fits the n-grams, and calibrates their joint answer on validation.

    Args:
        config: settings.
        splits: columns `text` and `label`; the test split is not looked at.
        folder: for logs and checkpoints.
    """
    started = time.monotonic()
    classes = sorted(splits.train["label"].unique())
    words = model.words_model(splits.train["text"].tolist(), config)
    train, validation = (
        model.word_numbers(words, frame["text"].tolist()) for frame in (splits.train, splits.validation)
    )
    labels, validation_labels = (class_ids(frame["label"], classes) for frame in (splits.train, splits.validation))

    prepared = time.monotonic() - started
    lstm, history = _fit_lstm(config, (train, labels), (validation, validation_labels), len(classes), folder)
    started = time.monotonic()
    shortened = _padded_batches(model.cut(validation, config.text.sequence_length))
    logits = [np.concatenate([lstm.predict_on_batch(ids) for ids in shortened])]
    wide = None
    if config.wide.ngrams:
        wide, wide_logits = _fit_wide(config, (train, labels), (validation, validation_labels), len(classes))
        logits.append(wide_logits)
    shares = evaluation.calibrate(logits, validation_labels)
    history.seconds += prepared + time.monotonic() - started

    join = partial(model.classifier, words, limit=config.text.sequence_length)
    (lstm_share,) = evaluation.calibrate(logits[:1], validation_labels)
    return TrainedModel(
        model=join(lstm, wide, shares=(shares[0], shares[-1])),
        metadata={"task": "sentiment", "labels": classes},
        history=history,
        components={"lstm": join(lstm, None, shares=(lstm_share, 0.0))},
        notes={
            "factors of the logits": {
                "lstm by itself": lstm_share,
                **dict(zip(("lstm", "ngrams")[: len(shares)], shares, strict=True)),
            }
        },
    )


def _fit_lstm(
    config: SentimentConfig,
    train: tuple[list[np.ndarray], np.ndarray],
    validation: tuple[list[np.ndarray], np.ndarray],
    classes: int,
    folder: Path,
) -> tuple[keras.Model, training.History]:
    """Returns the LSTM by itself, trained, from word numbers to logits."""
    started = time.monotonic()
    keras.utils.set_random_seed(config.training.seed)
    vectors = None
    if config.head.pretrained:
        vectors = word_vectors(train[0], config.text.vocabulary_size, config.head.embedding_size, seed=config.training.seed)
    prepared = time.monotonic() - started
    with training.precision(config.training.precision):
        reader = model.LSTMReader(config, classes, vectors)
        pretrained = _pretrain(config, reader, (train[0], validation[0]), folder / "pretraining")
        trained = reader.whole
        if config.head.adversarial:
            trained = AdversarialTraining(reader.embed, reader.read, config.head.adversarial)
        history = training.fit(
            trained,
            _training_batches(config, *train),
            SequenceBatches(model.cut(validation[0], config.text.sequence_length), validation[1], 128).evaluation_batches(),
            config.training,
            folder,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
    history.seconds += prepared + pretrained.seconds
    if config.training.precision == "float32":
        return reader.whole, history
    return training.rebuild_in_float32(reader.whole, lambda: model.LSTMReader(config, classes).whole), history


def _pretrain(
    config: SentimentConfig, reader: model.LSTMReader, texts: tuple[list[np.ndarray], list[np.ndarray]], folder: Path
) -> training.History:
    if not config.head.pretraining_epochs:
        return training.History()
    if min(sum(map(len, part)) for part in texts) < STRETCH:
        raise SuiteError(
            f"Too few words for pre-training: {STRETCH} are needed in training and in validation. Add "
            "--head.pretraining-epochs 0."
        )
    settings = dataclasses.replace(
        config.training,
        epochs=config.head.pretraining_epochs,
        batch_size=2 * config.training.batch_size,
        learning_rate=config.head.pretraining_learning_rate,
        weight_decay=0.0,
    )
    return pretrain(reader.embedding, reader.sequence, config.lstm.bidirectional, texts, settings, folder)


def _training_batches(config: SentimentConfig, sequences: list[np.ndarray], labels: np.ndarray) -> SequenceBatches:
    return SequenceBatches(
        sequences if config.text.crop else model.cut(sequences, config.text.sequence_length),
        labels,
        config.training.batch_size,
        seed=config.training.seed,
        crop=config.text.crop,
        replacement_rate=config.head.word_dropout,
        replacement_id=model.UNKNOWN,
    )


def _fit_wide(
    config: SentimentConfig,
    train: tuple[list[np.ndarray], np.ndarray],
    validation: tuple[list[np.ndarray], np.ndarray],
    classes: int,
) -> tuple[keras.Model, np.ndarray]:
    """Returns the wide part, and logits of the validation texts `(examples, classes)` that it gave before it saw them."""
    longest, buckets = config.wide.ngrams, ngrams.buckets_for(classes, config.wide.buckets)
    seen, held_out = (ngrams.bucket_matrix(_padded_batches(part[0]), longest, buckets) for part in (train, validation))
    trained_model = ngrams.NaiveBayesLogisticRegression().fit(seen, train[1], held_out, validation[1])
    logits = trained_model.logits(held_out)  # of a model that has not seen them, for the calibration
    trained_model.refit(sp.vstack([seen, held_out]), np.concatenate([train[1], validation[1]]))
    wide = ngrams.wide_model(classes, longest, buckets)
    ngrams.fill(wide, trained_model)
    return wide, logits


def _padded_batches(sequences: list[np.ndarray]) -> Any:
    for start in range(0, len(sequences), model.BATCH):
        part = sequences[start : start + model.BATCH]
        ids = np.zeros((len(part), max(map(len, part))), np.int32)
        for row, sequence in zip(ids, part, strict=True):
            row[: len(sequence)] = sequence
        yield ids


TASK = Task(
    name="sentiment",
    load=data.load,
    train=train_model,
    evaluate=evaluate,
    export_spec=serving.export_spec,
    score_file=serving.score_file,
    predict=serving.predict,
    primary_metric="accuracy",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "Trained on texts of one kind and language, it is at home in those only: try it on a labelled sample of yours "
        "(`lstm-suite evaluate sentiment --data yours.csv`) before you believe it. It reads the beginning and the end of "
        "long texts with the LSTM, does not notice irony, and gives some answer to any text, an empty one included: the "
        "probability says how much to trust it."
    ),
)

if __name__ == "__main__":
    cli.main_of("sentiment")
