"""The newest transactions of a card, as part of its state and as features of the boosted trees.

The state of a card holds the age and the amount of its newest transactions. A tree jumps at its thresholds, so that its features must
be the same numbers, bit for bit, in whole sequences and in single steps. For this reason, ages are whole seconds below 2^24, and sums are
sums of multiples of 2^-8, which float32 adds exactly in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from tasks.fraud.card_features import DAY, HISTORY_SPANS, HOUR, PRIOR_COUNT

MAX_AGE = 2**24 - 1  # seconds, 194 days; float32 represents all integers up to it
AGE_RANKS = (1, 2, 4, 8, 16, 32)  # the ages of the transactions with these ranks are features; 1 is the newest one
AMOUNT_RANKS = (1, 2, 3)
HIGH_FACTOR = 2.5  # an amount is high if it is above this multiple of the mean of the card
AMOUNT_STEP, MAX_AMOUNT = (
    2.0**-8,
    1000.0,
)  # resolution and limit of amounts in sums, in units of the mean of the training split
MISSING = -1.0


def newest_before(state: Any, card_time: Any, time: Any, amount: Any) -> tuple[Any, Any]:
    """Returns times and amounts of the transactions of a card, those of its state first, `(batch, count + time)` each.

    Args:
        state: ages in seconds at `card_time`, then amounts, oldest first, `(batch, 2 x count)`; zeros for a new card.
        card_time: time of the newest of these transactions, int64 `(batch,)`.
        time: int64 `(batch, time)`.
        amount: float32 `(batch, time)`.
    """
    count = state.shape[-1] // 2
    earlier = ops.expand_dims(card_time, -1) - ops.cast(state[:, :count], "int64")
    times = ops.concatenate([earlier, time], axis=1)
    return times, ops.concatenate([state[:, count:], amount], axis=1)


def next_state(times: Any, amounts: Any, length: Any, card_time: Any, count: int) -> Any:
    """Returns the state after `length` more transactions, in the form of `newest_before`, `(batch, 2 x count)`."""
    positions = ops.expand_dims(length, -1) + ops.expand_dims(ops.arange(count, dtype="int32"), 0)
    ages = _ages(ops.expand_dims(card_time, -1), ops.take_along_axis(times, positions, axis=1))
    return ops.concatenate([ages, ops.take_along_axis(amounts, positions, axis=1)], axis=-1)


def recent_features(times: Any, amounts: Any, statistics: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Returns features `(batch, time)` by name of each transaction and of the `count` transactions of its card before it.

    Args:
        times: from `newest_before`.
        amounts: from `newest_before`, in units of the mean of the training split.
        statistics: `count` and `total` of all earlier transactions of the card, `(batch, time)`.
        count: number of transactions in the state.
    """
    time, amount, earlier = times[:, count:], amounts[:, count:], statistics["count"]
    first = ops.cumsum(ops.max(ops.ones_like(time, dtype="int32"), axis=0)) - 1  # 0, 1, 2 …
    positions = ops.expand_dims(first, -1) + ops.expand_dims(ops.arange(count - 1, -1, -1, dtype="int32"), 0)
    ages = _ages(ops.expand_dims(time, -1), ops.take(times, positions, axis=1))  # (batch, time, count), newest first
    past = ops.take(amounts, positions, axis=1)
    is_real = ops.expand_dims(earlier, -1) > ops.arange(count, dtype="float32")
    mean = (statistics["total"] + PRIOR_COUNT) / (earlier + PRIOR_COUNT)
    is_high = past > ops.expand_dims(HIGH_FACTOR * mean, -1)
    is_above = past >= ops.expand_dims(amount, -1)
    features = _current_features(time, amount, mean, earlier)
    for days in HISTORY_SPANS:
        within = ops.logical_and(is_real, ops.less(ages, float(days * DAY)))
        number = 1 + _count(within)
        total = _rounded(amount) + ops.sum(ops.where(within, _rounded(past), 0.0), axis=-1)
        features |= {
            f"card_count_{days}_days": number,
            f"card_mean_{days}_days": total / number,
            f"card_maximum_{days}_days": ops.max(ops.where(within, past, MISSING), axis=-1),
            f"card_high_{days}_days": _count(ops.logical_and(within, is_high)),
            f"card_above_{days}_days": _count(ops.logical_and(within, is_above)),
        }
    for prefix, values, ranks in (("age", ages, AGE_RANKS), ("amount", past, AMOUNT_RANKS)):
        for rank in ranks:
            if rank <= count:
                features[f"card_{prefix}_{rank}"] = ops.where(earlier >= rank, values[..., rank - 1], MISSING)
    return features


def _current_features(time: Any, amount: Any, mean: Any, count: Any) -> dict[str, Any]:
    return {
        "amount": amount,
        "hour": ops.cast(ops.floor_divide(ops.mod(time, DAY), HOUR), "float32"),
        "weekday": ops.cast(ops.mod(ops.floor_divide(time, DAY) + 3, 7), "float32"),  # 1970-01-01 was a Thursday
        "card_count": count,
        "card_mean": mean,
        "amount_to_mean": amount / ops.maximum(ops.abs(mean), 0.01),
    }


def _ages(now: Any, times: Any) -> Any:
    return ops.cast(ops.clip(now - times, 0, MAX_AGE), "float32")


def _count(mask: Any) -> Any:
    return ops.sum(ops.cast(mask, "float32"), axis=-1)


def _rounded(amount: Any) -> Any:
    return ops.round(ops.clip(amount, -MAX_AMOUNT, MAX_AMOUNT) * (1 / AMOUNT_STEP)) * AMOUNT_STEP
