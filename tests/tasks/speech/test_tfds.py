"""Data sets as TensorFlow Datasets lays them out, made here, read by the real code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.speech import audio, data
from tasks.speech.config import AudioConfig, SpeechConfig
from tests.tasks.speech.conftest import tone

DIGITS = "zero one two three four five six seven eight nine".split()


def sounding(k: int) -> np.ndarray:
    """The k-th recording, as 16-bit integers."""
    return np.round(tone("abc"[k % 3] * 2, 0.2, k) * 2**15).astype(np.int64)


def store(folder: Path, name: str, config: str | None, splits: dict[str, list[dict]]) -> None:
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
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path / "kept")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


def test_spoken_digits_are_told_by_their_class_and_the_speaker_by_the_files_name(tmp_path):
    who = ["jackson", "theo", "george", "lucas"]
    rows = [
        {"audio": sounding(k), "audio/filename": f"{k % 10}_{who[k % 4]}_{k}.wav", "label": k % 10} for k in range(40)
    ]
    store(tmp_path, "spoken_digit", None, {"train": rows})
    config = SpeechConfig(data="spoken_digit", audio=AudioConfig(test_speakers=("theo",)), lstm=SpeechConfig().lstm)
    splits = data.load(config)
    assert set(splits.test["speaker"]) == {"theo"}
    parts = [splits.train, splits.validation, splits.test]
    assert sum(map(len, parts)) == 40
    for part in parts:
        stores = {store: audio.opened(store) for store in part["store"].unique()}
        for row in part.itertuples():
            digit, speaker, k = row.name.removesuffix(".wav").split("_")
            assert (row.text, row.speaker) == (digit, speaker)
            found = audio.samples_of(stores[row.store], row.start, row.length)
            assert row.length == 2 * 2 * len(tone("a", 0.2))  # 8 kHz became 16
            assert np.abs(found).max() == pytest.approx(np.abs(sounding(int(k))).max() / 2**15, rel=0.1)
    again = data.load(config)
    assert again.origin.sha256 == splits.origin.sha256
    assert again.test["text"].tolist() == splits.test["text"].tolist()


def test_splits_of_a_data_set_stay_what_they_are(tmp_path):
    """As in LibriSpeech, whose text and speaker have features of their own."""

    def rows(split: str, count: int) -> list[dict]:
        return [
            {
                "speech": sounding(k).astype(np.int16),
                "text": f"{DIGITS[k % 10].upper()} {DIGITS[k % 3].upper()}",
                "speaker_id": 100 + k % 3,
                "chapter_id": 1,
                "id": f"{split}-{k}",
            }
            for k in range(count)
        ]

    counts = {"train_clean100": 20, "dev_clean": 8, "dev_other": 3, "test_clean": 5, "test_other": 2}
    store(tmp_path, "librispeech", "default", {name: rows(name, count) for name, count in counts.items()})
    splits = data.load(SpeechConfig(data="librispeech", lstm=SpeechConfig().lstm))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 8, 5)
    assert set(splits.train["speaker"]) == {"100", "101", "102"}
    assert all(name.startswith("test_clean-") for name in splits.test["name"])
    assert "TWO TWO" in set(splits.train["text"])
    assert splits.test["length"].iloc[0] == len(tone("aa", 0.2))  # it has 16 kHz already
