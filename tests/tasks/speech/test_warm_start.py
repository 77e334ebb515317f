"""A model that begins with another's weights hears what that one heard, and what cannot begin so is told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from keras import ops

from shared.config import LSTMConfig
from shared.errors import DataError, ExportError
from shared.sources import Origin, Splits
from tasks.speech import train
from tasks.speech.config import FeatureConfig
from tasks.speech.model import SubmodelBuilder, heard
from tasks.speech.warm_start import begin_with
from tests.tasks.speech.conftest import ALPHABET, CONFIG, STREAMING, stirred, tone


def written(config, folder, **metadata):
    """A version's folder, as far as `begin_with` reads it."""
    folder.mkdir(exist_ok=True)
    stirred(config).whole().save(folder / "model.keras")
    (folder / "task.json").write_text(json.dumps({"task": "speech", "alphabet": ALPHABET, **metadata}))
    return folder


def scores(views):
    sound = tone("cab")
    found = heard(
        views.parts, {"samples": ops.convert_to_tensor(sound[None]), "length": ops.convert_to_tensor([len(sound)])}
    )
    return ops.convert_to_numpy(found["logs"])[0]


@pytest.mark.parametrize("config", [CONFIG, STREAMING])
def test_each_character_keeps_its_weights_whatever_its_number(config, tmp_path):
    """Scores of characters beside each other are as they were, also where a new one stands between them."""
    statistics = np.stack([np.full(16, -6.0), np.full(16, 3.0)])
    views = SubmodelBuilder(config, 5, statistics)
    begin_with(views.whole(), "cbxa", written(config, tmp_path / "1"))
    before, after = scores(stirred(config)), scores(views)
    old, new = before[:, [0, 4, 3, 2]], after[:, [0, 1, 2, 4]]  # the blank, c, b, a
    np.testing.assert_allclose(new - new[:, :1], old - old[:, :1], atol=1e-4)
    assert np.abs(after[:, 3] - before[:, 1]).max() > 0.1  # x is new, and no blank between words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lstm": LSTMConfig(units=(6, 6), bidirectional=True)}, "other sizes"),
        ({"lstm": LSTMConfig(units=(6,), bidirectional=True)}, "other sizes"),
        ({"model": dataclasses.replace(CONFIG.model, filters=4)}, "other sizes"),
        ({"features": FeatureConfig(mels=18)}, "other bands"),
        ({"features": FeatureConfig(mels=16, highest=4000)}, "other bands"),
    ],
)
def test_other_bands_and_sizes_are_refused(changes, words, tmp_path):
    version = written(CONFIG, tmp_path / "1")
    model = SubmodelBuilder(dataclasses.replace(CONFIG, **changes), 5).whole()
    before = model.get_weights()
    with pytest.raises(DataError, match=words):
        begin_with(model, ALPHABET, version)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_no_version_of_speech_is_refused(tmp_path):
    model = SubmodelBuilder(CONFIG, 5).whole()
    with pytest.raises(ExportError, match=r"task\.json: missing"):
        begin_with(model, ALPHABET, tmp_path)
    with pytest.raises(DataError, match="a model of fraud"):
        begin_with(model, ALPHABET, written(CONFIG, tmp_path / "1", task="fraud"))


def test_training_begins_with_them_and_the_run_says_so(spoken, tmp_path):
    version = written(CONFIG, tmp_path / "1")
    still = dataclasses.replace(CONFIG.training, epochs=1, learning_rate=1e-9, weight_decay=0.0)
    model = dataclasses.replace(CONFIG.model, start=str(version))
    parts = [spoken.iloc[:16], spoken.iloc[16:24], spoken.iloc[24:28]]
    letter = spoken["text"].str.cat()
    assert set(letter) == set("abc")
    splits = Splits(
        *(part.reset_index(drop=True) for part in parts), origin=Origin("tones", "made up", "0", "none", "")
    )
    trained_model = train.train_model(dataclasses.replace(CONFIG, training=still, model=model), splits, tmp_path / "run")
    assert trained_model.notes["training began with"] == str(version)
    views = SubmodelBuilder(CONFIG, 4)
    begin_with(views.whole(), "abc", version)
    for one, other in zip(views.whole().get_weights(), trained_model.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
