"""Settings that cannot work are refused at once."""

from __future__ import annotations

import pytest

from shared.config import LSTMConfig
from tasks.speech.config import AudioConfig, AugmentConfig, DecodingConfig, FeatureConfig, SpeechConfig


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SpeechConfig(lstm=LSTMConfig()), "normalization training"),
        (lambda: SpeechConfig(lstm=LSTMConfig(), features=FeatureConfig(normalization="level")), "=level, bidir"),
        (lambda: SpeechConfig(group_column="speaker", lstm=LSTMConfig(bidirectional=True)), "audio.speaker"),
        (lambda: AudioConfig(names="{speaker}_{take}"), r"\{text\}"),
        (lambda: AudioConfig(longest=0), "longest"),
        (lambda: AudioConfig(test_names="a*", test_speakers=("bob",)), "not both"),
        (lambda: FeatureConfig(highest=9000), "8000"),
        (lambda: FeatureConfig(mels=2), "mels"),
        (lambda: AugmentConfig(speed=1.0), "speed"),
        (lambda: DecodingConfig(weights=()), "weights"),
        (lambda: DecodingConfig(beam=0), "beam"),
    ],
)
def test_a_slip_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
