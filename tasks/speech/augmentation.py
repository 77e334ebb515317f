"""Random changes of the training recordings: speed, microphone, room, volume, silence around the speech, and noise.

All changes of a recording depend only on the random number generator that is passed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from tasks.speech.config import AugmentConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps

EQUALIZER_MIN_FREQUENCY = 62.5  # Hz, where the first octave of the equalizer starts
SNR_RANGE = 30.0  # decibels between the minimum and the maximum signal-to-noise ratio
DIGITAL_SILENCE_RATE = 0.3  # fraction of the recordings in silence whose silence has no noise at all
BACKGROUND_DECIBELS = (-70.0, -25.0)  # of the noise in the silence, relative to the speech
NOISE_ONLY_DECIBELS = (-80.0, -15.0)  # root mean square of a recording without speech, relative to full scale
NOISE_ONLY_SILENCE_RATE = 0.15  # fraction of the recordings without speech that are digital silence
BABBLE_VOICES = (3, 8)  # number of voices, at least and less than
REVERBERATION_SECONDS = (0.1, 0.6)  # time in which the sound falls by 60 decibels
DIRECT_DECIBELS = (-3.0, 12.0)  # power of the direct sound relative to the reverberation
NOISE_RATES = {"white": 0.2, "pink": 0.15, "brown": 0.15, "hum": 0.15, "babble": 0.35}
"""Fraction of the noise of each kind."""
NOISE_COLOURS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Exponent of 1 / frequency in the amplitude of each noise."""

Voice = Callable[[], np.ndarray]
"""Returns the samples of a random other recording, float32 `(samples,)`."""


def augment_recording(
    samples: np.ndarray, augment: AugmentConfig, rng: np.random.Generator, min_steps: int, voice: Voice
) -> np.ndarray:
    """Returns a recording with random changes, float32 `(samples,)` in [-1, 1].

    Args:
        samples: float32 `(samples,)`.
        augment: ranges of the changes.
        rng: random number generator.
        min_steps: number of steps that the text needs; the speed stays unchanged if fewer steps would remain.
        voice: returns another recording, for babble.
    """
    speed = rng.uniform(1 - augment.speed, 1 + augment.speed)
    if augment.speed and count_steps(int(len(samples) / speed)) >= min_steps:
        samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
    if augment.equalizer:
        samples = equalize(samples, augment.equalizer, rng)
    if rng.random() < augment.reverberation_rate:
        samples = reverberate(samples, rng)
    samples = samples * 10 ** (rng.uniform(-augment.volume_range, augment.volume_range) / 20)
    power = float(np.mean(np.square(samples))) + 1e-10
    if rng.random() < augment.silence_rate:
        samples = place_in_silence(samples, augment.max_silence, power, rng, voice)
    if rng.random() < augment.noise_rate:
        snr = rng.uniform(augment.min_snr, augment.min_snr + SNR_RANGE)
        samples = samples + make_noise(len(samples), rng, voice) * np.sqrt(power * 10 ** (-snr / 10))
    return np.clip(samples, -1, 1).astype(np.float32)


def make_recording_without_speech(length: int, rng: np.random.Generator, voice: Voice) -> np.ndarray:
    """Returns silence, or noise of any loudness, float32 `(length,)` in [-1, 1]."""
    if rng.random() < NOISE_ONLY_SILENCE_RATE:
        return np.zeros(length, np.float32)
    noise = make_noise(length, rng, voice) * 10 ** (rng.uniform(*NOISE_ONLY_DECIBELS) / 20)
    return np.clip(noise, -1, 1).astype(np.float32)


def place_in_silence(
    samples: np.ndarray, max_seconds: float, power: float, rng: np.random.Generator, voice: Voice
) -> np.ndarray:
    """Returns a recording with digital silence or quiet noise before and after it, float `(samples,)`.

    Args:
        samples: float `(samples,)`.
        max_seconds: maximum length on each side.
        power: mean power of the speech.
        rng: random number generator.
        voice: returns another recording, for babble.
    """
    before, after = rng.integers(0, int(max_seconds * SAMPLE_RATE) + 1, 2)
    padded = np.pad(samples, (before, after))
    if rng.random() < DIGITAL_SILENCE_RATE:
        return padded
    decibels = rng.uniform(*BACKGROUND_DECIBELS)
    return padded + make_noise(len(padded), rng, voice) * np.sqrt(power * 10 ** (decibels / 10))


def make_noise(length: int, rng: np.random.Generator, voice: Voice) -> np.ndarray:
    """Returns noise of a random kind with the root mean square 1, float64 `(length,)`: white, pink or brown noise, hum, or babble.

    Args:
        length: number of samples.
        rng: random number generator.
        voice: returns another recording, for babble.
    """
    kind = rng.choice(list(NOISE_RATES), p=list(NOISE_RATES.values()))
    if kind == "hum":
        noise = _hum(length, rng)
    elif kind == "babble":
        voices = [voice() for _ in range(rng.integers(*BABBLE_VOICES))]
        noise = sum(np.resize(samples, length) / (np.std(samples) + 1e-5) for samples in voices)
    else:
        spectrum = np.fft.rfft(rng.normal(size=length))
        spectrum /= np.maximum(np.arange(len(spectrum)), 1.0) ** NOISE_COLOURS[str(kind)]
        noise = np.fft.irfft(spectrum, length)
    noise = noise - np.mean(noise)
    return noise / (np.sqrt(np.mean(np.square(noise))) + 1e-10)


def _hum(length: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the hum of a power line: 50 or 60 Hz with random harmonics, and a little white noise."""
    time = np.arange(length) / SAMPLE_RATE
    base = rng.choice([50.0, 60.0]) * rng.uniform(0.98, 1.02)
    hum = rng.normal(size=length) * 0.02 * rng.random()
    for harmonic in range(1, int(rng.integers(2, 20))):
        phase = rng.uniform(0, 2 * np.pi)
        hum += rng.random() / harmonic * np.sin(2 * np.pi * base * harmonic * time + phase)
    return hum


def reverberate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording as in a random room, float32 `(samples,)`.

    The impulse response is the direct sound and white noise that falls exponentially.

    Args:
        samples: float32 `(samples,)`.
        rng: random number generator.
    """
    from scipy.signal import fftconvolve

    seconds = rng.uniform(*REVERBERATION_SECONDS)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    tail *= np.sqrt(10 ** (-rng.uniform(*DIRECT_DECIBELS) / 10) / np.sum(np.square(tail)))
    tail[0] = 1.0
    return fftconvolve(samples, tail)[: len(samples)].astype(np.float32)


def equalize(samples: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording with a random frequency response, as by another microphone, float32 `(samples,)`.

    Args:
        samples: float32 `(samples,)`.
        deviation: standard deviation of the random gain at each octave from 62.5 Hz on, in decibels; gains between the octaves are
            interpolated linearly.
        rng: random number generator.
    """
    octaves = np.arange(np.log2(SAMPLE_RATE / 2 / EQUALIZER_MIN_FREQUENCY) + 1)
    gains = rng.normal(0, deviation, len(octaves))
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), EQUALIZER_MIN_FREQUENCY)
    octave = np.log2(frequencies / EQUALIZER_MIN_FREQUENCY)
    factors = 10 ** (np.interp(octave, octaves, gains) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * factors, len(samples)).astype(np.float32)
