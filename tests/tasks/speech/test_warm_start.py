"""A warm start copies the weights of an exported version, and rejects one that does not match."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from keras import ops

from shared import workflow
from shared.config import BidirectionalLSTMConfig
from shared.data.sources import Origin, Splits
from shared.errors import DataError, ExportError
from tasks.speech import train
from tasks.speech.config import FeaturesConfig
from tasks.speech.model import SubmodelBuilder, run_submodels
from tasks.speech.warm_start import warm_start
from tests.tasks.speech.conftest import ALPHABET, CONFIG, STREAMING, randomized, tone


def write_version(config, folder, **metadata):
    """Writes the files of a version that a warm start reads."""
    folder.mkdir(exist_ok=True)
    randomized(config).full_model().save(folder / "model.keras")
    (folder / "task.json").write_text(json.dumps({"task": "speech", "alphabet": ALPHABET, **metadata}))
    return folder


def log_probabilities_of(builder):
    samples = tone("cab")
    inputs = {"samples": ops.convert_to_tensor(samples[None]), "length": ops.convert_to_tensor([len(samples)])}
    return ops.convert_to_numpy(run_submodels(builder.submodels, inputs)["log_probabilities"])[0]


@pytest.mark.parametrize("config", [CONFIG, STREAMING])
def test_each_character_keeps_its_weights_when_its_id_changes(config, tmp_path):
    """The differences between the log-probabilities of known characters stay equal, also with a new character between them."""
    statistics = np.stack([np.full(16, -6.0), np.full(16, 3.0)])
    builder = SubmodelBuilder(config, 5, statistics)
    warm_start(builder.full_model(), "cbxa", write_version(config, tmp_path / "1"))
    before, after = log_probabilities_of(randomized(config)), log_probabilities_of(builder)
    old, new = before[:, [0, 4, 3, 2]], after[:, [0, 1, 2, 4]]  # BLANK_ID, c, b, a
    np.testing.assert_allclose(new - new[:, :1], old - old[:, :1], atol=1e-4)
    assert np.abs(after[:, 3] - before[:, 1]).max() > 0.1  # x is new and does not get the weights of the space


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm": BidirectionalLSTMConfig(units=(6, 6), bidirectional=True)}, "the sizes differ"),
        ({"lstm": BidirectionalLSTMConfig(units=(6,), bidirectional=True)}, "the sizes differ"),
        ({"model": dataclasses.replace(CONFIG.model, filters=4)}, "the sizes differ"),
        ({"features": FeaturesConfig(mel_bands=18)}, "the mel bands differ"),
        ({"features": FeaturesConfig(mel_bands=16, max_frequency=4000)}, "the mel bands differ"),
    ],
)
def test_a_version_with_other_bands_or_sizes_is_rejected(changes, message, tmp_path):
    version = write_version(CONFIG, tmp_path / "1")
    model = SubmodelBuilder(dataclasses.replace(CONFIG, **changes), 5).full_model()
    before = model.get_weights()
    with pytest.raises(DataError, match=message):
        warm_start(model, ALPHABET, version)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_folder_without_a_version_of_speech_is_rejected(tmp_path):
    model = SubmodelBuilder(CONFIG, 5).full_model()
    with pytest.raises(ExportError, match=r"task\.json: missing"):
        warm_start(model, ALPHABET, tmp_path)
    with pytest.raises(ExportError, match="a model of the task fraud"):
        warm_start(model, ALPHABET, write_version(CONFIG, tmp_path / "1", task="fraud"))


def test_training_starts_from_the_weights_and_notes_it(recordings, tmp_path):
    version = write_version(CONFIG, tmp_path / "1")
    almost_fixed = dataclasses.replace(
        CONFIG.training, epochs=1, learning_rate=1e-9, weight_decay=0.0, warm_start=str(version)
    )
    frames = [recordings.iloc[:16], recordings.iloc[16:24], recordings.iloc[24:28]]
    assert set(recordings["text"].str.cat()) == set("abc")
    origin = Origin("tones", "generated", "0", "none", "")
    splits = Splits(*(frame.reset_index(drop=True) for frame in frames), origin=origin)
    config = dataclasses.replace(CONFIG, training=almost_fixed)
    trained_model = workflow.train_model(train.TASK, config, splits, tmp_path / "run")
    assert trained_model.notes["warm start"] == str(version)
    builder = SubmodelBuilder(CONFIG, 4)
    warm_start(builder.full_model(), "abc", version)
    for one, other in zip(builder.full_model().get_weights(), trained_model.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
