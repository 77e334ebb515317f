"""Options that cannot work are rejected with a message that names them."""

from __future__ import annotations

import pytest

from shared.config import BidirectionalLSTMConfig
from tasks.speech.config import (
    AugmentConfig,
    ColumnsConfig,
    DecodingConfig,
    FeaturesConfig,
    SpeechConfig,
    SpeechSplitConfig,
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpeechConfig(lstm=BidirectionalLSTMConfig()), "Add --features.normalization training"),
        (
            lambda: SpeechConfig(lstm=BidirectionalLSTMConfig(), features=FeaturesConfig(normalization="rms")),
            "--lstm.bidirectional. Received: rms",
        ),
        (
            lambda: ColumnsConfig(file_pattern="{speaker}_{take}"),
            r"--columns.file-pattern must contain \{text\}. Received: \{speaker\}_\{take\}",
        ),
        (lambda: ColumnsConfig(file_pattern="{text}_{take}_{take}"), "must contain each name only once"),
        (lambda: FeaturesConfig(max_seconds=0), "--features.max-seconds must be greater than 0"),
        (
            lambda: SpeechSplitConfig(test_files="a*", test_speakers=("bob",)),
            "--split.test-files and --split.test-speakers exclude each other",
        ),
        (lambda: SpeechSplitConfig(test_fraction=1.0), "--split.test-fraction"),
        (lambda: FeaturesConfig(max_frequency=9000), "--features.max-frequency, which must be at most 8000"),
        (lambda: FeaturesConfig(mel_bands=2), "--features.mel-bands must be at least 8"),
        (lambda: AugmentConfig(speed=1.0), "--augment.speed"),
        (lambda: DecodingConfig(language_model_weights=()), "--decoding.language-model-weights must have at least one"),
        (lambda: DecodingConfig(beam_width=0), "--decoding.beam-width must be at least 1"),
    ],
)
def test_an_invalid_option_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
