"""Trains the speech model, and declares the task."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from shared.config import as_dict
from shared.data.sources import Splits
from shared.decoding.ctc_symbols import build_alphabet
from shared.task import Task, TrainedModel
from shared.training import loop
from tasks.speech import audio, audio_stream, serving
from tasks.speech.batches import RecordingBatches
from tasks.speech.config import SpeechConfig
from tasks.speech.decoder import open_language_model
from tasks.speech.evaluate import METRICS, plan_evaluation, score
from tasks.speech.features import log_mel, mel_layer, normalize_rms
from tasks.speech.model import SubmodelBuilder, Trainer
from tasks.speech.timing import FRAME_LENGTH
from tasks.speech.transcription import SIGNATURE
from tasks.speech.tuning import tune_decoding
from tasks.speech.voice_activity import find_loud, frame_energy
from tasks.speech.warm_start import warm_start

MAX_STATISTICS_RECORDINGS = 500  # of the training split, for the statistics of the bands


def train_model(config: SpeechConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains the acoustic model on the characters of the training transcripts.

    Args:
        config: all options.
        splits: from `tasks.speech.data.load`; the test split is not used.
        folder: folder for logs and checkpoints.
    """
    if config.decoding.language_model:  # reports a wrong folder before training, not hours later
        open_language_model(config.decoding.language_model)
    alphabet = build_alphabet(splits.train["text"])
    statistics = band_statistics(splits.train, config) if config.features.normalization != "utterance" else None
    train = RecordingBatches(splits.train, alphabet, config.training.batch_size, config.training.seed, config.augment)
    validation = RecordingBatches(splits.validation, alphabet, config.training.batch_size)
    with loop.precision(config.training.precision):
        builder = SubmodelBuilder(config, len(alphabet) + 1, statistics)
        trainer = Trainer(builder)
    if config.training.warm_start:
        warm_start(builder.full_model(), alphabet, Path(config.training.warm_start).expanduser())
    history = loop.fit(
        trainer,
        train,
        validation.evaluation_batches(),
        config.training,
        folder,
        loss=loop.identity_loss,
        monitored_metric=trainer.monitored_metric,
    )
    model = loop.in_float32(
        builder.full_model(),
        config.training.precision,
        lambda: SubmodelBuilder(config, len(alphabet) + 1, statistics).full_model(),
    )
    return TrainedModel(
        model=model,
        metadata={
            **tune_decoding(model, splits, config, alphabet),
            "audio": as_dict(config.audio),
            "text": as_dict(config.text),
        },
        history=history,
        notes={"warm start": config.training.warm_start} if config.training.warm_start else {},
    )


def band_statistics(frame: pd.DataFrame, config: SpeechConfig) -> np.ndarray:
    """Returns mean and standard deviation of each mel band over the speech of random training recordings, `(2, mel_bands)`."""
    recordings = frame.sample(min(MAX_STATISTICS_RECORDINGS, len(frame)), random_state=0)
    mel = mel_layer(config.features)
    caches = {path: audio.open_cache(path) for path in recordings["cache_file"].unique()}
    count, total, squares = 0, np.zeros(config.features.mel_bands), np.zeros(config.features.mel_bands)
    for row in recordings.itertuples():
        samples = audio.get_samples(caches[row.cache_file], row.start, row.length)
        padded = np.pad(samples, (0, max(0, FRAME_LENGTH - len(samples))))[None]
        energy = frame_energy(padded)
        is_loud = find_loud(energy, keras.ops.ones_like(energy, dtype="bool"))
        if config.features.normalization == "rms":
            padded = normalize_rms(padded, is_loud)
        frames = keras.ops.convert_to_numpy(log_mel(padded, mel))[0].astype(np.float64)
        frames = frames[keras.ops.convert_to_numpy(is_loud)[0]]
        count += len(frames)
        total += frames.sum(axis=0)
        squares += np.square(frames).sum(axis=0)
    mean = total / max(count, 1)
    return np.stack([mean, np.sqrt(np.maximum(squares / max(count, 1) - np.square(mean), 0))])


TASK = Task(
    name="speech",
    train=train_model,
    export_spec=serving.export_spec,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    stream=audio_stream.build_stream,
    primary_metric="word_error_rate",
    prediction_signature=SIGNATURE,
    evaluation_signature=SIGNATURE,
    example_inputs=serving.EXAMPLES,
    limitations=(
        "The model transcribes speech that sounds like its training recordings: the same language, accents, microphones and rooms. "
        "Other voices and louder rooms raise its error rate; loud noise and several voices at once hide speech. Its error rate "
        "differs by speaker, accent and age: evaluate it on the people who will speak to it. Recordings of people are personal data."
    ),
)
