"""Trains the speech task: `python -m tasks.speech.train` is `lstm-suite train speech`."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from shared import cli, training
from shared.sources import Splits
from shared.task import Task, TrainedModel
from tasks.speech import audio, data, serving
from tasks.speech.batches import RecordingBatches
from tasks.speech.config import SpeechConfig
from tasks.speech.evaluate import evaluate
from tasks.speech.features import WIDTH, levelled, log_mel, mel_layer
from tasks.speech.language import exported_opinion
from tasks.speech.model import SubmodelBuilder, Trainer
from tasks.speech.symbols import alphabet_of
from tasks.speech.warm_start import begin_with

MEASURED = 500  # recordings of training that give the statistics of the bands


def train_model(config: SpeechConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Learns the alphabet of the training transcripts, and to spell out what is said.

    Args:
        config: settings.
        splits: from `tasks.speech.data.load`; the test split is not looked at.
        folder: for logs and checkpoints.
    """
    if config.decoding.language_model:
        exported_opinion(Path(config.decoding.language_model).expanduser())  # a slip is told before hours of training
    started = time.monotonic()
    keras.utils.set_random_seed(config.training.seed)
    alphabet = alphabet_of(splits.train["text"])
    statistics = statistics_of(splits.train, config) if config.features.normalization != "utterance" else None
    train = RecordingBatches(splits.train, alphabet, config.training.batch_size, config.training.seed, config.augment)
    validation = RecordingBatches(splits.validation, alphabet, config.training.batch_size)
    with training.precision(config.training.precision):
        views = SubmodelBuilder(config, len(alphabet) + 1, statistics)
        trainer = Trainer(views)
    if config.model.start:
        begin_with(views.whole(), alphabet, Path(config.model.start).expanduser())
    prepared = time.monotonic() - started
    history = training.fit(
        trainer, train, validation.evaluation_batches(), config.training, folder, loss=training.identity_loss, monitored_metric=trainer.monitored_metric
    )
    history.seconds += prepared
    model = views.whole()
    if config.training.precision != "float32":
        model = training.rebuild_in_float32(model, lambda: SubmodelBuilder(config, len(alphabet) + 1, statistics).whole())
    metadata = {
        "task": "speech",
        "audio": {name: getattr(config.audio, name) for name in serving.TOLD},
        "alphabet": alphabet,
    }
    began = {"training began with": config.model.start} if config.model.start else {}
    notes = began | {"weights": "their moving average" if history.is_average else f"of epoch {history.best_epoch}"}
    return TrainedModel(model=model, metadata=metadata, history=history, parts={"language_model": None}, notes=notes)


def statistics_of(frame: pd.DataFrame, config: SpeechConfig) -> np.ndarray:
    """Returns mean and deviation of each band over some recordings of training, `(2, mels)`."""
    chosen = frame.sample(min(MEASURED, len(frame)), random_state=0)
    mel = mel_layer(config.features)
    stores = {store: audio.opened(store) for store in chosen["store"].unique()}
    count, total, squared = 0, np.zeros(config.features.mels), np.zeros(config.features.mels)
    for row in chosen.itertuples():
        samples = audio.samples_of(stores[row.store], row.start, row.length)
        padded = np.pad(samples, (0, max(0, WIDTH - len(samples))))[None]
        if config.features.normalization == "level":
            padded = levelled(padded, np.array([row.length]))
        frames = keras.ops.convert_to_numpy(log_mel(padded, mel))[0].astype(np.float64)
        count += len(frames)
        total += frames.sum(axis=0)
        squared += np.square(frames).sum(axis=0)
    mean = total / count
    return np.stack([mean, np.sqrt(np.maximum(squared / count - np.square(mean), 0))])


TASK = Task(
    name="speech",
    load=data.load,
    train=train_model,
    evaluate=evaluate,
    export_spec=serving.export_spec,
    score_file=serving.score_file,
    predict=serving.predict,
    primary_metric="word_error_rate",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "It spells out what sounds like its training recordings: their language, accents, microphones and rooms. Other voices "
        "and louder rooms raise its errors, and it writes something for any sound. Its errors differ by speaker, accent and "
        "age: judge it on the people who will speak to it. Recordings of people are personal data."
    ),
)

if __name__ == "__main__":
    cli.main_of("speech")
