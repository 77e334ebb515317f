"""A few recordings of tones, and an untrained model, for the speech task's tests."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from shared.config import LSTMConfig, TrainingConfig
from tasks.speech import audio
from tasks.speech.config import AudioConfig, FeatureConfig, SpeechConfig, SpeechModelConfig
from tasks.speech.features import RATE
from tasks.speech.model import SubmodelBuilder

ALPHABET = " abc"


CONFIG = SpeechConfig(
    lstm=LSTMConfig(units=(6, 5), bidirectional=True),
    training=TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-2),
    audio=AudioConfig(),
    features=FeatureConfig(mels=16),
    model=SpeechModelConfig(filters=3, input_dropout=0, output_dropout=0),
)
STREAMING = dataclasses.replace(
    CONFIG, lstm=LSTMConfig(units=(6, 5)), features=dataclasses.replace(CONFIG.features, normalization="training")
)
LEVEL = dataclasses.replace(CONFIG, features=dataclasses.replace(CONFIG.features, normalization="level"))


@pytest.fixture(scope="session")
def config() -> SpeechConfig:
    """Of a whole-utterance model."""
    return CONFIG


@pytest.fixture(scope="session")
def streaming() -> SpeechConfig:
    return STREAMING


def stirred(config: SpeechConfig) -> SubmodelBuilder:
    """Returns an untrained model, its weights stirred so that sounds differ."""
    keras.utils.set_random_seed(0)
    statistics = np.stack([np.full(16, -6.0), np.full(16, 3.0)])
    views = SubmodelBuilder(config, len(ALPHABET) + 1, statistics if config.features.normalization != "utterance" else None)
    rng = np.random.default_rng(0)
    for weight in views.reading.weights:
        if "norm" not in weight.path:
            spread = 0.2 if "recurrent" in weight.path else 1.5 if "kernel" in weight.path else 0.0
            weight.assign(rng.normal(0, 1, weight.shape) * spread)  # little memory, so that each sound is told
    symbols = views.reading.get_layer("symbols")
    symbols.set_weights([4 * symbols.get_weights()[0], np.array([-2.0, 0, 0, 0, 0])])  # so that some are said
    return views


@pytest.fixture
def views() -> SubmodelBuilder:
    return stirred(CONFIG)


@pytest.fixture
def level_views() -> SubmodelBuilder:
    return stirred(LEVEL)


@pytest.fixture
def streaming_views() -> SubmodelBuilder:
    return stirred(STREAMING)


def tone(letters: str, seconds: float = 0.25, seed: int = 0) -> np.ndarray:
    """A pitch for each letter, one after the other, with a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitches = {"a": 400, "b": 1200, "c": 3000}
    parts = [0.3 * np.sin(2 * np.pi * pitches[letter] * time) if letter != " " else 0 * time for letter in letters]
    samples = np.concatenate(parts)
    return (samples + rng.normal(0, 0.003, len(samples))).astype(np.float32)


def babble(count: int) -> np.ndarray:
    """Letters that change fast, so that an untrained model says many symbols."""
    rng = np.random.default_rng(0)
    parts = [tone(rng.choice(list("abc ")), rng.uniform(0.02, 0.15), k) * rng.uniform(0.1, 3) for k in range(60)]
    return np.concatenate(parts)[:count].astype(np.float32)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> pd.DataFrame:
    """Forty recordings of one to three letters by four speakers, as `tasks.speech.data.load` lays them out."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(40)]
    sounds = [tone(text, rng.uniform(0.2, 0.3), k) for k, text in enumerate(texts)]
    store, lengths = audio.kept(("tones",), iter(sounds), tmp_path_factory.mktemp("kept"))
    return pd.DataFrame(
        {
            "text": texts,
            "speaker": [f"speaker {k % 4}" for k in range(40)],
            "name": [f"{k}.wav" for k in range(40)],
            "store": str(store),
            "start": np.cumsum(lengths) - lengths,
            "length": lengths,
        }
    )
