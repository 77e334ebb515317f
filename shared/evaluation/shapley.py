"""Shapley values (Shapley, 1953; Štrumbelj & Kononenko, 2014): how much each input adds to an output, compared with a reference.

The `shap` package computes the same for a function of one table. Here a function of coalitions is needed, because an input of a model, such
as a state, is an array; 30 lines do it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

MAX_EXACT = 6
"""With more inputs, random permutations replace all permutations."""
NUM_PERMUTATIONS = 8
SEED = 0


def shapley_values(evaluate: Callable[[np.ndarray], np.ndarray], count: int) -> np.ndarray:
    """Returns the contribution of each input to the output, float64 `(rows, count)`.

    The contributions of a row sum exactly to the output with all inputs minus the output of the reference. They are exact Shapley values
    for up to `MAX_EXACT` inputs, and averages over `NUM_PERMUTATIONS` permutations for more.

    Args:
        evaluate: function from a coalition, bool `(count,)`, to outputs `(rows,)`: inputs that are False have the values of the
            reference.
        count: number of inputs.
    """
    outputs: dict[tuple[int, ...], np.ndarray] = {}
    contributions: list[np.ndarray] = [np.zeros(0)] * count

    def output_of(members: tuple[int, ...]) -> np.ndarray:
        if members not in outputs:
            mask = np.zeros(count, bool)
            mask[list(members)] = True
            outputs[members] = np.asarray(evaluate(mask), np.float64)
        return outputs[members]

    permutations = _permutations(count)
    for permutation in permutations:
        for k, player in enumerate(permutation):
            before, after = tuple(sorted(permutation[:k])), tuple(sorted(permutation[: k + 1]))
            gain = (output_of(after) - output_of(before)) / len(permutations)
            contributions[player] = gain if not contributions[player].size else contributions[player] + gain
    return np.stack(contributions, axis=1)


def _permutations(count: int) -> list[tuple[int, ...]]:
    """Returns all permutations, or random ones in pairs of opposite order, which reduces the variance."""
    if count <= MAX_EXACT:
        return list(itertools.permutations(range(count)))
    rng = np.random.default_rng(SEED)
    half = [tuple(int(k) for k in rng.permutation(count)) for _ in range(NUM_PERMUTATIONS // 2)]
    return [*half, *(permutation[::-1] for permutation in half)]
