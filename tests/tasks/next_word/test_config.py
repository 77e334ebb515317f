"""Invalid options raise errors that name the option and the received value; presets have the documented values."""

from __future__ import annotations

import pytest

from tasks.next_word.config import PRESETS, ModelConfig, TextConfig


@pytest.mark.parametrize(
    ("section", "values", "option"),
    [
        (TextConfig, {"vocabulary_size": 0}, "--text.vocabulary-size"),
        (TextConfig, {"min_count": 0}, "--text.min-count"),
        (ModelConfig, {"embedding_size": 1}, "--model.embedding-size"),
        (ModelConfig, {"bptt_length": 0}, "--model.bptt-length"),
        (ModelConfig, {"negative_samples": -1}, "--model.negative-samples"),
        (ModelConfig, {"output_dropout": 1.0}, "--model.output-dropout"),
    ],
)
def test_an_invalid_value_raises_an_error_with_the_option(section, values, option):
    with pytest.raises(ValueError, match="Received") as raised:
        section(**values)
    assert str(raised.value).startswith(option)


def test_the_test_split_of_every_preset_is_a_tenth():
    assert {config.split.test_fraction for config in PRESETS.values()} == {0.1}


def test_only_the_sample_preset_names_its_data():
    assert {name: config.data for name, config in PRESETS.items()} == {"sample": "sample", "default": "", "large": ""}
