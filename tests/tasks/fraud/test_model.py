"""The submodels of card and terminal, and the noisy-OR that joins them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tasks.fraud.model import SubmodelBuilder, noisy_or


def test_noisy_or_is_the_log_odds_that_at_least_one_of_two_events_happens():
    first, second = np.meshgrid(np.linspace(-8, 8, 9), np.linspace(-8, 8, 9))
    p, q = (1 / (1 + np.exp(-x)) for x in (first, second))
    expected = 1 - (1 - p) * (1 - q)
    log_odds = keras.ops.convert_to_numpy(noisy_or(first.astype("float32"), second.astype("float32")))
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), expected, atol=1e-6)


def build_inputs(count: int, **changes) -> dict:
    """Returns the inputs of the full model for one card with `count` transactions."""
    fields = {
        "time": np.arange(count)[None] * 5000 + 1_530_000_000,
        "amount": np.linspace(10, 90, count, dtype=np.float32)[None],
        "length": np.array([count], np.int32),
        "terminal_time": np.full((1, count, 4), 1_529_000_000),
        "terminal_amount": np.full((1, count, 4), 30, np.float32),
        "terminal_fraud": np.tile(np.array([0, 1, 1, -1], np.int32), (1, count, 1)),
    }
    return fields | changes


def test_padding_does_not_change_scores(builder):
    full_model = builder.full_model((1.0, 0.0))
    expected = full_model(build_inputs(5)).numpy()
    padded = {
        name: value if name == "length" else np.pad(value, [(0, 0), (0, 3)] + [(0, 0)] * (value.ndim - 2))
        for name, value in build_inputs(5).items()
    }
    np.testing.assert_allclose(full_model(padded).numpy()[:, :5], expected, atol=1e-6)


@pytest.mark.parametrize("amount", [0.0, -50.0, 1e9])
def test_any_amount_gives_a_probability(builder, amount):
    inputs = build_inputs(3, amount=np.array([[20.0, amount, 30.0]], np.float32))
    probabilities = builder.full_model((1.0, 0.0))(inputs).numpy()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_the_score_jumps_at_an_amount_edge(builder):
    """Two amounts on different sides of an edge have scores that differ much more than two amounts on the same side."""
    full_model = builder.full_model((1.0, 0.0))
    scores = [
        full_model(build_inputs(1, amount=np.array([[amount]], np.float32))).numpy()[0, 0]
        for amount in (49.8, 49.9, 50.1)
    ]
    assert abs(scores[2] - scores[1]) > 10 * abs(scores[1] - scores[0])


def test_a_missing_number_counts_as_the_mean_and_all_unknown_categories_as_one(config, metadata):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["at", "de"]}}
    metadata["category_rates"] = {"country": [0.1, 0.4]}
    full_model = SubmodelBuilder(config, metadata).full_model((1.0, 0.0))

    def score(age: float, country: str) -> float:
        columns = {"age": np.full((1, 2), age, np.float32), "country": keras.ops.convert_to_tensor([[country] * 2])}
        inputs = {name: keras.ops.convert_to_tensor(value) for name, value in build_inputs(2, **columns).items()}
        return full_model(inputs).numpy()[0, 1]

    assert score(np.nan, "at") == pytest.approx(score(40.0, "at"), abs=1e-7)
    assert score(70.0, "at") != pytest.approx(score(40.0, "at"), abs=1e-7)
    assert score(40.0, "xx") == pytest.approx(score(40.0, "unknown"), abs=1e-7)
    assert score(40.0, "xx") != pytest.approx(score(40.0, "at"), abs=1e-7)


def test_a_model_without_terminals_has_no_terminal_submodel(config, metadata):
    builder = SubmodelBuilder(config, metadata | {"terminal": False})
    full_model = builder.full_model((1.0, 0.0))
    assert builder.terminal is None
    assert {tensor.name for tensor in full_model.inputs} == {"time", "amount", "length"}
    fields = {name: value for name, value in build_inputs(3).items() if not name.startswith("terminal")}
    assert full_model(fields).shape == (1, 3)
