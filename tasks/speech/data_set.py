"""Reads recordings and their texts from data sets of TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.sources import Origin
from shared.data.tfds import open_tfds, prepare_tfds, require_training_split
from shared.errors import DataError
from tasks.speech import audio
from tasks.speech.config import SpeechConfig
from tasks.speech.timing import SAMPLE_RATE
from tasks.speech.transcripts import normalize_text
from tasks.speech.user_files import add_places

DEFAULT_TEXT_COLUMN = "text"
TEXT_FEATURES = ("text_normalized", "text", "label")  # features of a TensorFlow data set that may hold the text
SPLITS = {
    "train": "train",
    "train_clean100": "train",  # LibriSpeech; its other splits are not used
    "dev_clean": "validation",
    "test_clean": "test",
    "validation": "validation",
    "test": "test",
}


def load(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Reads the splits of a TensorFlow data set with audio, and with a text or a class for each recording.

    Returns:
        The tables "train" and, if the data set has them, "validation" and "test", with the columns that `tasks.speech.data.load`
        describes; and the origin of the data.

    Raises:
        DataError: the data set has no audio, no text or no training split.
    """
    builder = open_tfds(config.data)
    features = builder.info.features
    audio_feature = next((name for name, kind in features.items() if type(kind).__name__ == "Audio"), None)
    requested = () if config.columns.text == DEFAULT_TEXT_COLUMN else (config.columns.text,)
    text_feature = next((name for name in (*requested, *TEXT_FEATURES) if name in features), None)
    if audio_feature is None or text_feature is None:
        raise DataError(
            f"{config.data}: the data set needs a feature with audio and one with a text or class. Its features are "
            f"{', '.join(features)}. Name the one with the text with {option(config.columns, 'text')}."
        )
    prepare_tfds(builder, config.data)
    rate = getattr(features[audio_feature], "sample_rate", None) or SAMPLE_RATE
    frames: dict[str, pd.DataFrame] = {}
    for split in builder.info.splits:
        if split not in SPLITS:
            continue
        rows: list[dict[str, str]] = []
        channel = config.audio.channel
        recordings = _read_recordings(builder, split, audio_feature, text_feature, rate, channel, rows)
        key = (builder.info.full_name, str(builder.data_dir), split, audio_feature, channel)
        cache_file, lengths = audio.cache_recordings(key, recordings)
        if not rows:  # the recordings were already cached
            examples = enumerate(_read_examples(builder, split, audio_feature))
            rows = [_parse_example(example, features, text_feature, k) for k, example in examples]
        frame = add_places(pd.DataFrame(rows), cache_file, lengths)
        is_class_without_word = frame["text"].str.match("_.*_$")  # _silence_ and _unknown_ of speech_commands
        texts = [normalize_text(text, config.text) for text in frame["text"]]
        frames[SPLITS[split]] = frame.assign(text=texts)[~is_class_without_word]
    require_training_split(config.data, frames, builder.info.splits)
    return frames, Origin.of_tfds(builder.info, digest="")


def _read_examples(builder: Any, split: str, skipped_feature: str | None = None) -> Iterator[Mapping[str, Any]]:
    import tensorflow_datasets as tfds

    decoders = {skipped_feature: tfds.decode.SkipDecoding()} if skipped_feature else None
    return iter(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)))


def _read_recordings(
    builder: Any,
    split: str,
    audio_feature: str,
    text_feature: str,
    rate: int,
    channel: str,
    rows: list[dict[str, str]],
) -> Iterator[np.ndarray]:
    """Yields the samples of each recording of a split, and appends its text, speaker and name to `rows`."""
    for k, example in enumerate(_read_examples(builder, split)):
        row = _parse_example(example, builder.info.features, text_feature, k)
        rows.append(row)
        place = f"{builder.info.name}, {row['name']}"
        yield audio.convert_samples(np.asarray(example[audio_feature]), rate, place, channel)


def _parse_example(example: Mapping[str, Any], features: Any, text_feature: str, index: int) -> dict[str, str]:
    """Returns text, speaker and name of an example of a TensorFlow data set."""
    class_names = getattr(features[text_feature], "names", None)
    value = example[text_feature]
    text = class_names[int(value)] if class_names else value.decode("utf-8", errors="replace")
    name = next((example[key] for key in ("audio/filename", "id") if key in example), str(index))
    name = name.decode() if isinstance(name, bytes) else str(name)
    speaker = example.get("speaker_id", "")
    if "audio/filename" in example:  # spoken_digit: 7_jackson_32.wav
        speaker = name.split("_")[1] if name.count("_") >= 2 else ""
    return {"text": text, "speaker": str(speaker), "name": name}
