"""Recordings of tones and models with random weights, for the tests of the speech task."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from shared.config import BidirectionalLSTMConfig
from tasks.speech import audio
from tasks.speech.config import DecodingConfig, FeaturesConfig, ModelConfig, SpeechConfig, SpeechTrainingConfig
from tasks.speech.model import SubmodelBuilder
from tasks.speech.timing import SAMPLE_RATE

ALPHABET = " abc"


CONFIG = SpeechConfig(
    features=FeaturesConfig(mel_bands=16),
    model=ModelConfig(filters=3, input_dropout=0, output_dropout=0),
    lstm=BidirectionalLSTMConfig(units=(6, 5), bidirectional=True),
    training=SpeechTrainingConfig(epochs=2, batch_size=4, learning_rate=1e-2),
    decoding=DecodingConfig(beam_width=4, language_model_weights=(0.5,), word_bonuses=(0.0,), vocabulary="open"),
)
STREAMING = dataclasses.replace(
    CONFIG,
    lstm=BidirectionalLSTMConfig(units=(6, 5)),
    features=dataclasses.replace(CONFIG.features, normalization="training"),
)
RMS = dataclasses.replace(CONFIG, features=dataclasses.replace(CONFIG.features, normalization="rms"))


@pytest.fixture(scope="session")
def config() -> SpeechConfig:
    """Options of a bidirectional model."""
    return CONFIG


@pytest.fixture(scope="session")
def streaming() -> SpeechConfig:
    return STREAMING


def randomized(config: SpeechConfig) -> SubmodelBuilder:
    """Returns an untrained model whose weights are random enough to give different texts for different sounds."""
    keras.utils.set_random_seed(0)
    statistics = np.stack([np.full(16, -6.0), np.full(16, 3.0)])
    needs_statistics = config.features.normalization != "utterance"
    builder = SubmodelBuilder(config, len(ALPHABET) + 1, statistics if needs_statistics else None)
    rng = np.random.default_rng(0)
    for weight in builder.acoustic_model.weights:
        if "norm" not in weight.path:
            # small recurrent weights, so that the output depends mostly on the current sound
            deviation = 0.2 if "recurrent" in weight.path else 1.5 if "kernel" in weight.path else 0.0
            weight.assign(rng.normal(0, 1, weight.shape) * deviation)
    symbols = builder.acoustic_model.get_layer("symbols")
    symbols.set_weights([4 * symbols.get_weights()[0], np.array([-2.0, 0, 0, 0, 0])])  # fewer BLANK_ID
    return builder


@pytest.fixture
def builder() -> SubmodelBuilder:
    return randomized(CONFIG)


@pytest.fixture
def rms_builder() -> SubmodelBuilder:
    return randomized(RMS)


@pytest.fixture
def streaming_builder() -> SubmodelBuilder:
    return randomized(STREAMING)


def tone(letters: str, seconds: float = 0.25, seed: int = 0) -> np.ndarray:
    """Returns one tone per letter, each with its own pitch and this duration, with a little noise; silence for a space."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitches = {"a": 400, "b": 1200, "c": 3000}
    parts = [0.3 * np.sin(2 * np.pi * pitches[letter] * time) if letter != " " else 0 * time for letter in letters]
    samples = np.concatenate(parts)
    return (samples + rng.normal(0, 0.003, len(samples))).astype(np.float32)


def babble(count: int) -> np.ndarray:
    """Returns `count` samples of tones that change quickly, so that an untrained model writes many symbols."""
    rng = np.random.default_rng(0)
    parts = [tone(rng.choice(list("abc ")), rng.uniform(0.02, 0.15), k) * rng.uniform(0.1, 3) for k in range(60)]
    return np.concatenate(parts)[:count].astype(np.float32)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> pd.DataFrame:
    """Forty recordings of one to three letters by four speakers, in the form of `tasks.speech.data.load`."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(40)]
    sounds = [np.pad(tone(text, rng.uniform(0.2, 0.3), k), 1600) for k, text in enumerate(texts)]
    cache_file, lengths = audio.cache_recordings(("tones",), iter(sounds), tmp_path_factory.mktemp("cache"))
    return pd.DataFrame(
        {
            "text": texts,
            "speaker": [f"speaker {k % 4}" for k in range(40)],
            "name": [f"{k}.wav" for k in range(40)],
            "cache_file": str(cache_file),
            "start": np.cumsum(lengths) - lengths,
            "length": lengths,
        }
    )
