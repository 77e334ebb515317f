"""The two views and what joins them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tasks.fraud.model import SubmodelBuilder, either


def test_either_is_the_odds_that_at_least_one_of_two_happens():
    first, second = np.meshgrid(np.linspace(-8, 8, 9), np.linspace(-8, 8, 9))
    p, q = (1 / (1 + np.exp(-x)) for x in (first, second))
    both = 1 - (1 - p) * (1 - q)
    odds = keras.ops.convert_to_numpy(either(first.astype("float32"), second.astype("float32")))
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), both, atol=1e-6)


def request(count: int, **changes) -> dict:
    fields = {
        "time": np.arange(count)[None] * 5000 + 1_530_000_000,
        "amount": np.linspace(10, 90, count, dtype=np.float32)[None],
        "length": np.array([count], np.int32),
        "terminal_time": np.full((1, count, 4), 1_529_000_000),
        "terminal_amount": np.full((1, count, 4), 30, np.float32),
        "terminal_fraud": np.tile(np.array([0, 1, 1, -1], np.int32), (1, count, 1)),
    }
    return fields | changes


def test_a_score_does_not_hang_on_padding(views):
    whole = views.whole((1.0, 0.0))
    alone = whole(request(5)).numpy()
    padded = {
        name: value if name == "length" else np.pad(value, [(0, 0), (0, 3)] + [(0, 0)] * (value.ndim - 2))
        for name, value in request(5).items()
    }
    np.testing.assert_allclose(whole(padded).numpy()[:, :5], alone, atol=1e-6)


@pytest.mark.parametrize("amount", [0.0, -50.0, 1e9])
def test_amounts_of_any_size_give_a_probability(views, amount):
    answer = views.whole((1.0, 0.0))(request(3, amount=np.array([[20.0, amount, 30.0]], np.float32))).numpy()
    assert ((answer >= 0) & (answer <= 1)).all()


def test_a_jump_at_a_learned_edge_is_seen(views):
    """Amounts just below and above an edge differ by far more than two amounts on one side."""
    whole = views.whole((1.0, 0.0))
    of = [whole(request(1, amount=np.array([[a]], np.float32))).numpy()[0, 0] for a in (49.8, 49.9, 50.1)]
    assert abs(of[2] - of[1]) > 10 * abs(of[1] - of[0])


def test_further_columns_missing_numbers_count_as_the_mean_and_new_categories_as_one(config, metadata):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["at", "de"]}}
    whole = SubmodelBuilder(config, metadata).whole((1.0, 0.0))

    def answer(age: float, country: str) -> float:
        columns = {"age": np.full((1, 2), age, np.float32), "country": keras.ops.convert_to_tensor([[country] * 2])}
        tensors = {name: keras.ops.convert_to_tensor(value) for name, value in request(2, **columns).items()}
        return whole(tensors).numpy()[0, 1]

    assert answer(np.nan, "at") == pytest.approx(answer(40.0, "at"), abs=1e-7)
    assert answer(70.0, "at") != pytest.approx(answer(40.0, "at"), abs=1e-7)
    assert answer(40.0, "xx") == pytest.approx(answer(40.0, "never seen"), abs=1e-7)
    assert answer(40.0, "xx") != pytest.approx(answer(40.0, "at"), abs=1e-7)


def test_without_terminals_there_is_no_terminals_view(config, metadata):
    views = SubmodelBuilder(config, metadata | {"terminal": False})
    whole = views.whole((1.0, 0.0))
    assert views.terminal is None
    assert {tensor.name for tensor in whole.inputs} == {"time", "amount", "length"}
    fields = {name: value for name, value in request(3).items() if not name.startswith("terminal")}
    assert whole(fields).shape == (1, 3)
