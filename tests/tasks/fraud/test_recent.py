"""Features of the newest transactions of a card equal counts by hand, in whole sequences and in steps, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud.card_features import PRIOR_COUNT
from tasks.fraud.recent import HIGH_FACTOR, HISTORY_SPANS, MISSING, newest_before, next_state, recent_features

DAY = 86_400
COUNT = 4


@pytest.fixture
def cards() -> tuple[np.ndarray, np.ndarray]:
    """Times and amounts of three cards with nine transactions, two of them at the same time, and one after a year."""
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.integers(0, 4 * DAY, (3, 9)), axis=1) + 1_530_000_000
    time[0, 4], time[1, 8] = time[0, 3], time[1, 7] + 400 * DAY
    return np.sort(time, axis=1), rng.gamma(1.0, 1.3, (3, 9)).astype(np.float32)


def compute(state, card_time, time, amount, earlier, total):
    times, amounts = newest_before(state, card_time, time, amount)
    statistics = {"count": earlier.astype(np.float32), "total": total.astype(np.float32)}
    features = recent_features(times, amounts, statistics, COUNT)
    length = np.full(len(time), time.shape[1], np.int32)
    following = next_state(times, amounts, length, time[:, -1], COUNT)
    return {name: np.asarray(value) for name, value in features.items()}, np.asarray(following)


def compute_whole(time, amount):
    earlier = np.tile(np.arange(time.shape[1]), (len(time), 1))
    total = np.cumsum(amount, axis=1, dtype=np.float32) - amount
    state, card_time = np.zeros((len(time), 2 * COUNT), np.float32), np.zeros(len(time), np.int64)
    return compute(state, card_time, time, amount, earlier, total)


def test_windows_ranks_and_current_values_equal_a_count_by_hand(cards):
    time, amount = cards
    features, _ = compute_whole(time, amount)
    for card in range(len(time)):
        for k in range(time.shape[1]):
            ages, past = (time[card, k] - time[card, :k])[::-1][:COUNT], amount[card, :k][::-1][:COUNT]
            now, mean = amount[card, k], (amount[card, :k].sum() + PRIOR_COUNT) / (k + PRIOR_COUNT)
            for days in HISTORY_SPANS:
                within = past[ages < days * DAY]
                values = {
                    "count": len(within) + 1,
                    "mean": (within.sum() + now) / (len(within) + 1),
                    "maximum": within.max(initial=MISSING),
                    "high": (within > HIGH_FACTOR * mean).sum(),
                    "above": (within >= now).sum(),
                }
                for name, value in values.items():
                    assert features[f"card_{name}_{days}_days"][card, k] == pytest.approx(value, abs=0.01)
            for rank in (1, 2, 4):
                assert features[f"card_age_{rank}"][card, k] == (
                    min(ages[rank - 1], 2**24 - 1) if rank <= len(ages) else MISSING
                )
            assert features["card_amount_1"][card, k] == (past[0] if len(past) else MISSING)
            assert features["hour"][card, k] == time[card, k] % DAY // 3600


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pieces_equal_the_whole_bit_for_bit(cards, size):
    time, amount = cards
    whole, last = compute_whole(time, amount)
    total = np.cumsum(amount, axis=1, dtype=np.float32) - amount
    state, card_time = np.zeros((len(time), 2 * COUNT), np.float32), np.zeros(len(time), np.int64)
    for start in range(0, time.shape[1], size):
        part = slice(start, start + size)
        earlier = np.tile(np.arange(time.shape[1]), (len(time), 1))[:, part]
        features, state = compute(state, card_time, time[:, part], amount[:, part], earlier, total[:, part])
        card_time = time[:, part][:, -1]
        for name, values in features.items():
            np.testing.assert_array_equal(values, whole[name][:, part], err_msg=name)
    np.testing.assert_array_equal(state, last)
