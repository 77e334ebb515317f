"""Decoding, mixing and resampling of .wav files in the graph, for the signature `transcribe_wav`.

It gives the samples of `tasks.speech.audio.read` for 16-bit PCM; other formats need `audio.read` in the client.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tasks.speech.audio import MAX_RATE, MIN_RATE
from tasks.speech.input_config import MEAN_CHANNEL
from tasks.speech.timing import SAMPLE_RATE

MAX_CHUNKS = 1_000  # that are searched for the samples
PADDING_SECONDS = 0.1
"""Silence that is added before resampling, because a Fourier transform continues the end of a signal with its start."""
CUTOFF, TRANSITION = 0.9568, 0.0118
"""Place and width of the low-pass filter of soxr's quality HQ, as fractions of the lower one of the two Nyquist frequencies: its
response, as measured, is close to a normal distribution function with this mean and standard deviation."""
EXAMPLE_RATES = (8_000, 44_100)
HEADER_BYTES = 64
PCM, EXTENSIBLE = 1, 0xFFFE  # format tags of .wav files


def transcribe_wav(
    transcribe: Callable[[Any, Any], dict[str, Any]], channel: str = MEAN_CHANNEL
) -> Callable[[Any], dict[str, Any]]:
    """Returns the function of the signature `transcribe_wav`.

    Args:
        transcribe: the function of `serving_default`, from `samples` and `length`.
        channel: as in `tasks.speech.audio.decode`.

    Returns:
        Function from `wav` strings `(batch,)`, the bytes of 16-bit PCM .wav files of any rate and number of channels, to the outputs of
        `serving_default`.
    """

    def function(wav: Any) -> dict[str, Any]:
        spec = tf.RaggedTensorSpec([None], tf.float32, ragged_rank=0)
        rows = tf.map_fn(partial(decode_wav, channel=channel), wav, fn_output_signature=spec)
        return transcribe(rows.to_tensor(), tf.cast(rows.row_lengths(), tf.int32))

    return function


def decode_wav(content: Any, channel: str = MEAN_CHANNEL) -> Any:
    """Returns a .wav file as one channel at 16 kHz, float32 `(samples,)` in [-1, 1].

    As in `tasks.speech.containers`, data of size 0, or of a size beyond the end, are read to the end of the file. TensorFlow's own
    operation rejects such files, as well as those with a chunk of odd size, and its messages quote bytes that are no text.

    Args:
        content: bytes of a 16-bit PCM .wav file, string scalar.
        channel: as in `tasks.speech.audio.decode`.
    """
    size = tf.strings.length(content)
    padded = content + b"\0" * HEADER_BYTES  # so that reading a header never ends outside
    format_start, data_start, stated = _find_chunks(padded, size)
    tag, channels, rate, bits = (
        _read_integer(padded, format_start + offset, count) for offset, count in ((0, 2), (2, 2), (4, 4), (14, 2))
    )
    frame_size = 2 * tf.maximum(channels, 1)
    existing = size - data_start
    frames = tf.where((stated == 0) | (stated > existing), existing, stated) // frame_size
    is_wav = (tf.strings.substr(padded, 0, 4) == b"RIFF") & (tf.strings.substr(padded, 8, 4) == b"WAVE")
    is_pcm = ((tag == PCM) | (tag == EXTENSIBLE)) & (bits == 16) & (channels > 0)
    is_valid = is_wav & is_pcm & (data_start > 0) & (frames > 0) & (rate >= MIN_RATE) & (rate <= MAX_RATE)
    received = tf.strings.format(
        "format {}, {} channels, {} Hz, {} bits, {} samples per channel", (tag, channels, rate, bits, frames)
    )
    received = tf.where(is_wav & (data_start > 0), received, "no .wav file with samples")
    message = (
        f"wav must hold 16-bit PCM .wav files (format 1) with samples, at {MIN_RATE} to {MAX_RATE} Hz. Received: "
        + received
    )
    with tf.control_dependencies([tf.debugging.Assert(is_valid, [message])]):
        data = tf.strings.substr(padded, data_start, frames * frame_size)
    samples = tf.reshape(tf.cast(tf.io.decode_raw(data, tf.int16), tf.float32) / 32768, [-1, channels])
    mono = mix_channels(samples, channel)
    return tf.cond(tf.equal(rate, SAMPLE_RATE), lambda: mono, lambda: resample(mono, rate))


def mix_channels(samples: Any, channel: str) -> Any:
    """Returns one channel, or the mean of all, float32 `(samples,)`; a single channel is used as it is.

    Args:
        samples: float32 `(samples, channels)`.
        channel: as in `tasks.speech.audio.decode`.
    """
    if channel == MEAN_CHANNEL:
        return tf.reduce_mean(samples, axis=1)
    count, index = tf.shape(samples)[1], int(channel)
    message = tf.strings.format(
        "wav: there is no channel " + channel + "; the recording has {} channels, counted from 0", count
    )
    with tf.control_dependencies([tf.debugging.Assert((count == 1) | (index < count), [message])]):
        return tf.gather(samples, tf.where(count == 1, 0, tf.minimum(index, count - 1)), axis=1)


def _find_chunks(padded: Any, size: Any) -> tuple[Any, Any, Any]:
    """Returns the start of the format chunk, and start and stated size of the samples, int32 scalars; 0 if there are none.

    Args:
        padded: bytes of the file and `HEADER_BYTES` further ones, string scalar.
        size: size of the file, int32 scalar.
    """

    def is_searching(position: Any, format_start: Any, data_start: Any, stated: Any) -> Any:
        return (position <= size - 8) & (data_start == 0)

    def read_chunk(position: Any, format_start: Any, data_start: Any, stated: Any) -> tuple[Any, Any, Any, Any]:
        name = tf.strings.substr(padded, position, 4)
        length = tf.minimum(_read_integer(padded, position + 4, 4), size)
        start = position + 8
        format_start = tf.where(name == b"fmt ", tf.minimum(start, size), format_start)
        is_data = name == b"data"
        next_position = start + length + length % 2
        return next_position, format_start, tf.where(is_data, start, data_start), tf.where(is_data, length, stated)

    zero = tf.zeros([], tf.int32)
    _, format_start, data_start, stated = tf.while_loop(
        is_searching, read_chunk, (zero + 12, zero, zero, zero), maximum_iterations=MAX_CHUNKS
    )
    return format_start, data_start, stated


def _read_integer(content: Any, position: Any, count: int) -> Any:
    """Returns the unsigned integer of 2 or 4 bytes at a position, at most 2^31 - 1, int32 scalar."""
    octets = tf.io.decode_raw(tf.strings.substr(content, position, count), tf.uint8)
    value = tf.reduce_sum(tf.cast(octets, tf.int64) * tf.constant([256**k for k in range(count)], tf.int64))
    return tf.cast(tf.minimum(value, 2**31 - 1), tf.int32)


def resample(samples: Any, rate: Any) -> Any:
    """Returns samples at 16 kHz by the Fourier method, float32 `(samples,)` in [-1, 1]; the length is the duration, rounded up.

    Args:
        samples: float32 `(samples,)`.
        rate: samples per second, int32 scalar.
    """
    count, rate = tf.size(samples, tf.int64), tf.cast(rate, tf.int64)
    divisor = _greatest_common_divisor(rate)
    step, target_step = rate // divisor, SAMPLE_RATE // divisor
    padding = tf.cast(PADDING_SECONDS * tf.cast(rate, tf.float32), tf.int64)
    periods = -(-(count + 2 * padding) // step)
    size, target_size = periods * step, periods * target_step
    spectrum = tf.signal.rfft(tf.pad(samples, [[0, size - count]]), tf.cast(size[None], tf.int32))
    common = tf.minimum(size, target_size) // 2 + 1
    position = tf.range(tf.cast(common, tf.float32)) / tf.cast(tf.maximum(common - 1, 1), tf.float32)  # 1 at Nyquist
    response = 0.5 * tf.math.erfc((position - CUTOFF) / (math.sqrt(2) * TRANSITION))
    spectrum = spectrum[:common] * tf.cast(response, tf.complex64)
    spectrum = tf.pad(spectrum, [[0, target_size // 2 + 1 - common]])
    resampled = tf.signal.irfft(spectrum, tf.cast(target_size[None], tf.int32))
    resampled = resampled * (tf.cast(target_size, tf.float32) / tf.cast(size, tf.float32))
    return tf.clip_by_value(resampled[: -(-count * SAMPLE_RATE // rate)], -1.0, 1.0)


def _greatest_common_divisor(rate: Any) -> Any:
    """Returns the greatest divisor that a rate shares with `SAMPLE_RATE`, int64 scalar."""
    divisors = tf.constant([k for k in range(1, SAMPLE_RATE + 1) if SAMPLE_RATE % k == 0], tf.int64)
    return tf.reduce_max(tf.where(rate % divisors == 0, divisors, 1))


def example_request() -> Mapping[str, np.ndarray]:
    """Returns two short .wav files, one with 8 kHz and one with 44.1 kHz and two channels, strings `(2,)` by input name."""
    files = []
    for rate, channels, seconds in zip(EXAMPLE_RATES, (1, 2), (0.1, 0.09), strict=True):
        time = np.arange(int(rate * seconds)) / rate
        tone = np.round(10_000 * np.sin(2 * np.pi * (220 + 900 * time) * time)).astype("<i2")
        files.append(encode_wav(np.repeat(tone[:, None], channels, axis=1), rate))
    return {"wav": np.array(files, object)}


def encode_wav(samples: np.ndarray, rate: int) -> bytes:
    """Returns the bytes of a .wav file.

    Args:
        samples: int16 `(samples, channels)`.
        rate: samples per second.
    """
    data, channels = samples.astype("<i2").tobytes(), samples.shape[1]
    header = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
