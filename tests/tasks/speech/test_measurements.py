"""Oddities of the sound are measured, and become notices with their rows and a hint."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile

from shared.data.notices import collect_notices
from tasks.speech import audio, measurements
from tasks.speech.timing import SAMPLE_RATE
from tests.tasks.speech.conftest import tone

TONE = tone("ab")


def measure(tmp_path, samples, subtype="PCM_16", channel="mean"):
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype=subtype)
    return audio.decode(tmp_path / "a.wav", "a.wav", channel).measurements


def notices_of(measured, **options):
    frame = pd.DataFrame([measured]).assign(name="a.wav")
    with collect_notices() as notices:
        measurements.add_notices(frame, "list.csv", **options)
    return [str(notice) for notice in notices]


def pad(samples, seconds):
    return np.concatenate([np.zeros(int(seconds * SAMPLE_RATE)), samples])


@pytest.mark.parametrize(
    ("samples", "message", "hint"),
    [
        (np.stack([TONE, -TONE], 1), "channels that cancel each other", "--audio.channel 0"),
        (np.stack([TONE * 0, TONE], 1), "a channel without sound", "--audio.channel 1"),
        (np.zeros(8000), "have no sound", ""),
        (TONE * 0.002, "are very quiet", "amplify"),
        (np.clip(TONE * 9, -1, 1), "are clipped", "lower gain"),
        (TONE + 0.1, "have an offset", "highpass"),
        (pad(TONE, 2.5), "silence at the start or end", "Cut it off"),
        (pad(TONE[::-1], 2.5)[::-1], "silence at the start or end", "Cut it off"),
    ],
)
def test_an_oddity_is_one_notice_with_row_and_hint(tmp_path, samples, message, hint):
    (notice,) = notices_of(measure(tmp_path, samples))
    assert "list.csv: 1 of 1 recordings " in notice
    assert message in notice
    assert "a.wav. Row: 1." in notice
    assert hint in notice


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "ULAW", "FLOAT"])
def test_usual_recordings_have_no_notice_and_clipped_ones_do_in_every_encoding(tmp_path, subtype):
    assert notices_of(measure(tmp_path, np.stack([TONE, TONE / 2], 1), subtype)) == []
    (notice,) = notices_of(measure(tmp_path, np.clip(TONE * 9, -1, 1), subtype))
    assert "are clipped" in notice


def test_a_selected_channel_is_measured_alone(tmp_path):
    for samples in (np.stack([TONE, -TONE], 1), np.stack([TONE * 0, TONE], 1)):
        assert notices_of(measure(tmp_path, samples, channel="1")) == []
    (notice,) = notices_of(measure(tmp_path, np.stack([TONE * 0, TONE], 1), channel="0"))
    assert "have no sound" in notice


def test_silence_is_measured_at_both_ends():
    samples = np.concatenate([np.zeros(SAMPLE_RATE), TONE, np.full(SAMPLE_RATE // 2, 1e-5)])
    assert measurements.measure_silence(samples) == pytest.approx((1.0, 0.5), abs=0.02)
    assert measurements.measure_silence(np.zeros(5)) == (0.0, 0.0)


def test_the_summaries_count_the_files(tmp_path):
    rows = [measure(tmp_path, TONE), measure(tmp_path, np.stack([TONE, TONE], 1)), measure(tmp_path, np.zeros(800))]
    frame = pd.DataFrame(rows).assign(length=1200 * SAMPLE_RATE)
    assert measurements.summarize_channels(frame) == "mono 2, stereo 1"
    assert measurements.summarize_rates(frame) == "16000 Hz 3"
    assert measurements.summarize_hours(frame) == "1"
    assert measurements.summarize_clipping(frame) == "0.0% of recordings"
    assert measurements.summarize_silence(frame).startswith("33.3% without sound")
    assert measurements.summarize_channels(frame[["length"]]) == "unknown"
