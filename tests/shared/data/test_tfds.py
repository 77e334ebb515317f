"""`shared.data.tfds`: a prepared data set becomes tables; errors name the data set, the feature and the folder."""

import socket
import time
from pathlib import Path

import pandas as pd
import pytest

from shared.data.tfds import read_tfds, require_training_split
from shared.errors import DataError
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig, SentimentSplitConfig


@pytest.fixture
def offline(monkeypatch):
    """Blocks name resolution and returns the requested hosts; TFDS would retry ten times, for three minutes."""
    from tensorflow_datasets.core.download import downloader

    hosts = []

    def fail(host, *_args, **_kwargs):
        hosts.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)
    return hosts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("imbd_reviews", "not found"),
        ("no such set!", "Parsing"),
        ("nowhere:set", "not found"),
        ("imdb_reviews/nope", "nope not found"),
        ("imdb_reviews:9.9.9", "1.0.0"),
    ],
)
def test_unknown_data_set_fails_immediately_without_a_network(tmp_path, monkeypatch, offline, name, reason):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(DataError, match="Check the spelling") as raised:
        read_tfds(name, {"text": "text", "label": "label"})
    assert time.monotonic() - started < 10
    assert f'"{name}"' in str(raised.value)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert offline == []


def test_failed_download_names_the_folder_and_its_environment_variable(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="TFDS_DATA_DIR") as raised:
        read_tfds("imdb_reviews", {"text": "text", "label": "label"})
    assert f"imdb_reviews: not in {tmp_path}, and the download failed (ConnectionError" in str(raised.value)
    assert offline, "no download was attempted"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """TFDS folder with a prepared `imdb_reviews` that has 40 texts in each of its three splits."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("imdb_reviews", data_dir=folder)
    features = builder.info.features

    def rows(split):
        for k in range(40):
            yield {"text": f"{split} {k}: naïve 😀", "label": -1 if split == "unsupervised" else k % 2}

    spec = {name: tf.TensorSpec(feature.shape, feature.dtype) for name, feature in features.items()}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imdb_reviews",
        version=str(builder.version),
        config="plain_text",
        data_dir=folder,
        features=features,
        split_datasets={
            split: tf.data.Dataset.from_generator(lambda split=split: rows(split), output_signature=spec)
            for split in ("train", "test", "unsupervised")
        },
        disable_shuffling=False,
    )
    return folder


def test_prepared_data_set_has_class_names_as_labels(prepared, monkeypatch, offline):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    frames, info = read_tfds("imdb_reviews", {"text": "review", "label": "label"})
    assert info.full_name == "imdb_reviews/plain_text/1.0.0"
    for split, labels in (("train", ["neg", "pos"] * 20), ("test", ["neg", "pos"] * 20), ("unsupervised", [""] * 40)):
        expected = {f"{split} {k}: naïve 😀": label for k, label in enumerate(labels)}
        assert dict(zip(frames[split]["review"], frames[split]["label"], strict=True)) == expected
    assert offline == []


def test_missing_feature_of_a_data_set_is_named(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    with pytest.raises(
        DataError,
        match=r'no feature "review"\. The features are text, label\. Name the right one with --columns\.text\.',
    ):
        read_tfds("imdb_reviews", {"review": "text", "label": "label"}, options={"review": "--columns.text"})


def test_sentiment_uses_only_the_labelled_texts_of_a_data_set(prepared, monkeypatch, offline):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    splits = data.load(SentimentConfig(data="imdb_reviews", split=SentimentSplitConfig(validation_fraction=0.3)))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (28, 12, 40)
    assert splits.test["text"].str.startswith("test ").all()
    assert pd.concat([splits.train, splits.validation])["text"].str.startswith("train ").all()
    assert set(splits.train["label"]) == {"neg", "pos"}
    assert splits.origin.location == "imdb_reviews/plain_text/1.0.0"
    assert "Maas" in splits.origin.licence
    assert splits.origin.split_description.startswith("test split of the data set; validation 30% of the rest held out")


def test_a_data_set_without_a_training_split_raises_an_error():
    require_training_split("digits", ["test", "train"], ["test", "train"])
    with pytest.raises(DataError, match=r'digits: there is no split "train"\. The splits are test, extra\.'):
        require_training_split("digits", ["test"], ["test", "extra"])
