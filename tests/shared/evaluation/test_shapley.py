"""Shapley values of functions whose values are known, and their sum."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.shapley import MAX_EXACT, shapley_values


def test_contributions_of_a_sum_are_its_summands():
    values = np.array([[1.0, -2.0, 0.0], [3.0, 0.5, 7.0]])
    np.testing.assert_allclose(shapley_values(lambda mask: values @ mask, 3), values, atol=1e-12)


def test_a_product_is_divided_equally():
    np.testing.assert_allclose(shapley_values(lambda mask: np.array([8.0 * mask.all()]), 2), [[4.0, 4.0]])


@pytest.mark.parametrize("count", [1, 3, MAX_EXACT + 4])
def test_the_contributions_sum_to_the_difference_from_the_reference(count):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(5, count, count))

    def evaluate(mask):
        return np.tanh(np.einsum("rij,i,j->r", weights, mask.astype(float), mask.astype(float))) + 0.3

    total = shapley_values(evaluate, count).sum(axis=1)
    np.testing.assert_allclose(total, evaluate(np.ones(count, bool)) - evaluate(np.zeros(count, bool)), atol=1e-12)
