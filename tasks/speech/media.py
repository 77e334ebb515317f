"""Transcribes a recording in the body of a request, as `lstm-suite predict speech` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from shared.errors import DataError
from tasks.speech import audio
from tasks.speech.config import MAX_HOT_WORD_WEIGHT, PredictOptions
from tasks.speech.decoder import load_decoder
from tasks.speech.input_config import MEAN_CHANNEL
from tasks.speech.subtitles import as_object, format_transcript
from tasks.speech.timing import SAMPLE_RATE
from tasks.speech.transcription import SIGNATURE, transcribe_all

MEDIA_TYPES = ("audio/", "video/", "application/ogg")
CONTENT_TYPES = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
OPTIONS = ("format", "channel", "language_model", "hot_words", "hot_word_weight")
MAX_SECONDS = 3600  # of a recording in a request
BLOCK_SECONDS = 30.0
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def respond(
    call: Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    metadata: dict[str, Any],
    body: bytes,
    options: Mapping[str, str],
) -> tuple[bytes, str]:
    """Returns the transcript of a recording, and its content type.

    Args:
        call: returns the outputs of a signature.
        metadata: metadata of the model.
        body: recording in any format that `tasks.speech.audio.decode` reads.
        options: `format`, one of `CONTENT_TYPES`, JSON by default; `channel`; `language_model`, true or false; `hot_words`, separated by
            commas; `hot_word_weight`.

    Raises:
        DataError: the recording cannot be read, or an option is unknown or has a wrong value.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise DataError(f"There is no option {unknown[0]}. The options are {', '.join(OPTIONS)}.")
    form = options.get("format", "json")
    if form not in CONTENT_TYPES:
        raise DataError(f"format must be one of {', '.join(CONTENT_TYPES)}. Received: {form}")
    channel = options.get("channel", metadata.get("audio", {}).get("channel", MEAN_CHANNEL))
    if channel != MEAN_CHANNEL and not channel.isdecimal():
        raise DataError(f"channel must be {MEAN_CHANNEL} or the number of a channel. Received: {channel}")
    decoder = load_decoder(metadata, _is_true(options.get("language_model", TRUE[0])), _hot_words(options))
    blocks = _limited(audio.read_blocks(body, BLOCK_SECONDS, "the body", channel))
    (transcript,) = transcribe_all(partial(call, SIGNATURE), [blocks], decoder)
    if form == "json":
        return json.dumps(as_object(transcript), ensure_ascii=False).encode(), CONTENT_TYPES[form]
    return format_transcript(transcript, form).encode(), CONTENT_TYPES[form]


def _limited(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the blocks of a recording of at most `MAX_SECONDS`.

    Raises:
        DataError: the recording is longer.
    """
    count = 0
    for block in blocks:
        count += len(block)
        if count > MAX_SECONDS * SAMPLE_RATE:
            raise DataError(f"The recording is longer than {MAX_SECONDS // 60} minutes. Use lstm-suite predict.")
        yield block


def _is_true(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise DataError(f"language_model must be true or false. Received: {text}")
    return text.lower() in TRUE


def _hot_words(options: Mapping[str, str]) -> dict[str, float]:
    """Returns the additions for the hot words of a request."""
    text = options.get("hot_word_weight", str(PredictOptions.hot_word_weight))
    try:
        weight = float(text)
    except ValueError as error:
        raise DataError(f"hot_word_weight must be a number. Received: {text}") from error
    if not 0 <= weight <= MAX_HOT_WORD_WEIGHT:
        raise DataError(f"hot_word_weight must be from 0 to {MAX_HOT_WORD_WEIGHT}. Received: {text}")
    words = [word.strip() for word in options.get("hot_words", "").split(",")]
    return dict.fromkeys(filter(None, words), weight)
