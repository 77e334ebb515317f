"""Data sets in the format of TensorFlow Datasets, written by the tests and read by the real code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.speech import audio, data
from tasks.speech.config import SpeechConfig, SpeechSplitConfig
from tests.tasks.speech.conftest import tone

DIGITS = "zero one two three four five six seven eight nine".split()


def int16_samples(k: int, seed: int | None = None) -> np.ndarray:
    """Returns the samples of recording k as 16-bit integers, stored as int64."""
    return np.round(tone("abc"[k % 3] * 2, 0.2, k if seed is None else seed) * 2**15).astype(np.int64)


def write_data_set(folder: Path, name: str, config: str | None, splits: dict[str, list[dict]]) -> None:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=folder)
    spec = {name: tf.TensorSpec(feature.shape, feature.dtype) for name, feature in builder.info.features.items()}
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=str(builder.version),
        config=config,
        data_dir=folder,
        features=builder.info.features,
        split_datasets={
            split: tf.data.Dataset.from_generator(lambda rows=rows: iter(rows), output_signature=spec)
            for split, rows in splits.items()
        },
        disable_shuffling=False,
    )


@pytest.fixture(autouse=True)
def temporary_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


def test_spoken_digit_has_texts_from_its_classes_and_speakers_from_its_file_names(tmp_path):
    names = ["jackson", "theo", "george", "lucas"]
    rows = [
        {"audio": int16_samples(k), "audio/filename": f"{k % 10}_{names[k % 4]}_{k}.wav", "label": k % 10}
        for k in range(40)
    ]
    write_data_set(tmp_path, "spoken_digit", None, {"train": rows})
    config = SpeechConfig(data="spoken_digit", split=SpeechSplitConfig(test_speakers=("theo",)))
    splits = data.load(config)
    assert set(splits.test["speaker"]) == {"theo"}
    frames = [splits.train, splits.validation, splits.test]
    assert sum(map(len, frames)) == 40
    for frame in frames:
        caches = {path: audio.open_cache(path) for path in frame["cache_file"].unique()}
        for row in frame.itertuples():
            digit, speaker, k = row.name.removesuffix(".wav").split("_")
            assert (row.text, row.speaker) == (digit, speaker)
            samples = audio.get_samples(caches[row.cache_file], row.start, row.length)
            assert row.length == 2 * 2 * len(tone("a", 0.2))  # resampled from 8 kHz to 16 kHz
            assert np.abs(samples).max() == pytest.approx(np.abs(int16_samples(int(k))).max() / 2**15, rel=0.1)
    second = data.load(config)
    assert second.origin.sha256 == splits.origin.sha256
    assert second.test["text"].tolist() == splits.test["text"].tolist()


def test_the_splits_of_a_data_set_are_used(tmp_path):
    """The data set is LibriSpeech, which has features for the text and the speaker."""

    def rows(split: str, count: int) -> list[dict]:
        return [
            {
                "speech": int16_samples(k, seed=1000 * len(split) + k).astype(np.int16),
                "text": f"{DIGITS[k % 10].upper()} {DIGITS[k % 3].upper()}",
                "speaker_id": 100 + k % 3,
                "chapter_id": 1,
                "id": f"{split}-{k}",
            }
            for k in range(count)
        ]

    counts = {"train_clean100": 20, "dev_clean": 8, "dev_other": 3, "test_clean": 5, "test_other": 2}
    write_data_set(tmp_path, "librispeech", "default", {name: rows(name, count) for name, count in counts.items()})
    splits = data.load(SpeechConfig(data="librispeech"))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 8, 5)
    assert set(splits.train["speaker"]) == {"100", "101", "102"}
    assert all(name.startswith("test_clean-") for name in splits.test["name"])
    assert "TWO TWO" in set(splits.train["text"])
    assert splits.test["length"].iloc[0] == len(tone("aa", 0.2))  # not resampled
