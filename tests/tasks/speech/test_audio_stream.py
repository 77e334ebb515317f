"""The `streaming` preset keeps the promises of a stream; the sample's model is bidirectional, so the contract test skips it.

The model is not trained; its weights are random enough to give long transcripts.
"""

from __future__ import annotations

import pytest

from shared.export import publishing
from tasks.speech import serving
from tasks.speech.audio_stream import AudioStream, build_stream
from tests.contract.conftest import load_signatures
from tests.contract.streams import assert_steps_equal_the_whole, assert_the_future_changes_nothing, build_predictors
from tests.tasks.speech.conftest import ALPHABET, STREAMING, babble, randomized


@pytest.fixture
def predictors(tmp_path):
    metadata = {"task": "speech", "alphabet": ALPHABET, "columns": {}}
    export_spec = serving.export_spec(randomized(STREAMING).full_model(), metadata)
    publishing.write(export_spec, tmp_path / "1")
    return build_predictors(load_signatures(export_spec, tmp_path / "1"))


@pytest.mark.parametrize("check", [assert_steps_equal_the_whole, assert_the_future_changes_nothing])
def test_step_keeps_the_promises_of_a_stream(predictors, check):
    check(AudioStream(predictors, babble(15_000)))


def test_the_stream_of_the_task_has_many_chunks(predictors):
    assert build_stream(predictors, {}).steps == 20
