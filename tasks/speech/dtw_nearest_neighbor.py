"""Baseline: the text of the training recording with the smallest distance by dynamic time warping (DTW; Sakoe & Chiba, 1978)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.speech import audio
from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE

MAX_CELLS = 3e9  # of all distance matrices together; it limits the number of training recordings
MIN_RECORDINGS = 50  # of the training split, however many cells these need
COEFFICIENTS = 13
FRAME_STEP = 2  # every second frame is compared
MAX_FRAMES = 400  # of these; only the beginning of a longer recording is compared


def predict_texts(train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    """Returns the text of the nearest training recording for each test recording.

    Of many training recordings, a random sample is compared.

    Args:
        train: training split from `tasks.speech.data.load`.
        test: test split from `tasks.speech.data.load`.
    """
    from librosa.sequence import dtw

    cells_per_recording = _count_frames(train).mean() * _count_frames(test).sum()
    count = min(len(train), max(MIN_RECORDINGS, int(MAX_CELLS / cells_per_recording)))
    candidates = train.sample(count, random_state=0)
    candidate_features, test_features = _mfcc_all(candidates), _mfcc_all(test)
    texts = candidates["text"].tolist()
    predictions = []
    for recording in test_features:
        distances = [
            dtw(recording, other, backtrack=False)[-1, -1] / (recording.shape[1] + other.shape[1])
            for other in candidate_features
        ]
        predictions.append(texts[int(np.argmin(distances))])
    return predictions


def _count_frames(frame: pd.DataFrame) -> np.ndarray:
    """Returns the approximate number of compared frames of each recording."""
    return np.clip(frame["length"].to_numpy() / (HOP_LENGTH * FRAME_STEP), 1, MAX_FRAMES)


def _mfcc_all(frame: pd.DataFrame) -> list[np.ndarray]:
    caches = {path: audio.open_cache(path) for path in frame["cache_file"].unique()}
    return [mfcc(audio.get_samples(caches[row.cache_file], row.start, row.length)) for row in frame.itertuples()]


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Returns mel-frequency cepstral coefficients with mean 0 and standard deviation 1, `(13, frames)`."""
    import librosa

    padded = np.pad(samples, (0, max(0, FRAME_LENGTH - len(samples))))
    coefficients = librosa.feature.mfcc(
        y=padded, sr=SAMPLE_RATE, n_mfcc=COEFFICIENTS, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, n_mels=40
    )[:, ::FRAME_STEP][:, :MAX_FRAMES]
    deviation = coefficients.std(axis=1, keepdims=True) + 1e-3
    return (coefficients - coefficients.mean(axis=1, keepdims=True)) / deviation
