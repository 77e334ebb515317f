"""Three toys from sequence to sequence: copy, reverse, and dates to ISO form. Each learns held-out examples without an error.

The model of each toy is trained, exported by the exporter of the suite (which opens it in plain Keras and in TensorFlow's C++
runtime, and compares all outputs), loaded, and decoded greedily and with a beam.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.config import TrainingConfig
from shared.export import cpp_runtime, publishing
from tests.toys import translator
from tests.toys.dates import data as dates

TRAINING_PAIRS, TEST_PAIRS = 2000, 200
TRAINING = TrainingConfig(epochs=20, learning_rate=2e-2, weight_decay=0.0, patience=20)


def random_string(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("abcdefgh"), rng.integers(1, 8)))


def make_copy(rng: np.random.Generator) -> tuple[str, str]:
    text = random_string(rng)
    return text, text


def make_reverse(rng: np.random.Generator) -> tuple[str, str]:
    text = random_string(rng)
    return text, text[::-1]


class Toy(NamedTuple):
    """A trained and exported toy."""

    model: keras.Model
    version: Path
    sources: list[str]
    targets: list[str]


TOYS = {"copy": make_copy, "reverse": make_reverse, "dates": dates.make_pair}


@pytest.fixture(scope="module", params=TOYS)
def toy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    make_pair: Callable[[np.random.Generator], tuple[str, str]] = TOYS[request.param]
    rng, pairs = np.random.default_rng(0), {}
    while len(pairs) < TRAINING_PAIRS + TEST_PAIRS:
        source, target = make_pair(rng)
        pairs[source] = target
    examples = list(pairs.items())
    folder = tmp_path_factory.mktemp(request.param)
    keras.utils.set_random_seed(1)
    model, _ = translator.train(examples[:TRAINING_PAIRS], examples[:64], TRAINING, folder / "run")
    version = publishing.publish(translator.export_spec(model, {"task": request.param}), folder / "versions")
    sources, targets = zip(*examples[TRAINING_PAIRS:], strict=True)
    return Toy(model, version, list(sources), list(targets))


def texts(values: np.ndarray) -> list[str]:
    return [value.decode() for value in values]


def test_the_exported_model_learns_the_toy(toy):
    """Held-out examples are exact; beam 1 equals greedy; a wider beam is also exact, and its score is normalized."""
    signatures = tf.saved_model.load(str(toy.version)).signatures
    request = tf.constant(toy.sources)
    outputs = {
        name: {key: value.numpy() for key, value in signatures[name](text=request).items()}
        for name in ("serving_default", "beam_1", "beam")
    }
    assert texts(outputs["serving_default"]["text"]) == toy.targets
    assert texts(outputs["beam_1"]["text"][:, 0]) == toy.targets
    np.testing.assert_allclose(
        outputs["beam_1"]["log_probability"][:, 0], outputs["serving_default"]["log_probability"], atol=1e-5
    )
    assert texts(outputs["beam"]["text"][:, 0]) == toy.targets
    assert outputs["beam"]["text"].shape == (TEST_PAIRS, translator.BEAM_WIDTH)
    lengths = np.array([len(target) + 1 for target in toy.targets])
    expected = outputs["beam"]["log_probability"][:, 0] / ((5 + lengths) / 6) ** 0.6
    np.testing.assert_allclose(outputs["beam"]["score"][:, 0], expected, atol=1e-5)


def test_the_score_of_a_hypothesis_is_its_log_probability_with_teacher_forcing_in_plain_keras(toy):
    """`model.keras` opens with Keras alone; its log-probabilities of each hypothesis sum to the result of the C++ runtime."""
    model = keras.models.load_model(toy.version / "model.keras")
    sources = toy.sources[:5]
    outputs = cpp_runtime.run_isolated(toy.version, "beam", {"text": np.array(sources, object)})
    for row, source in enumerate(sources):
        for text, value in zip(texts(outputs["text"][row]), outputs["log_probability"][row], strict=True):
            if len(text) == translator.MAX_LENGTH:
                continue  # without an end token
            log_probabilities = np.asarray(model([tf.constant([source]), tf.constant([text])]))[0]
            token_ids = translator.encode(model.get_layer("vectorization"), tf.constant([text + translator.END]))[0, 1:]
            steps = log_probabilities[np.arange(len(text) + 1), token_ids]
            assert value == pytest.approx(steps.sum(), abs=1e-5)
