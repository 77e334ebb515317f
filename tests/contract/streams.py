"""What the contract says about streams (see `shared.streams`)."""

from __future__ import annotations

import numpy as np

from shared.streams import Predictors, Stream
from tests.contract.conftest import assert_close, call_signature


def build_predictors(signatures) -> Predictors:
    """Returns the predictors of signatures from `tests.contract.conftest.load_signatures`."""
    call = {
        name: lambda request, signature=signature: call_signature(signature, request)
        for name, (signature, *_) in signatures.items()
    }
    return Predictors(call, {name: example for name, (_, example, _) in signatures.items()})


def assert_steps_equal_the_whole(stream: Stream) -> None:
    """Steps give the outputs of the whole sequence, and these are not constant. They may be NaN while the sequence is too short."""
    state, all_outputs = stream.initial_state(), []
    for k in range(stream.steps):
        outputs, state = stream.step(k, state)
        if k in (0, 1, stream.steps // 2, stream.steps - 1):
            assert_close(outputs, stream.whole(k))
        all_outputs.append(outputs)
    is_finite = [
        all(np.isfinite(value).all() for value in outputs.values() if value.dtype.kind == "f")
        for outputs in all_outputs
    ]
    assert is_finite == sorted(is_finite), "an output is NaN after a finite one"
    known = all_outputs[is_finite.index(True) :]
    assert len(known) > 2
    assert any(_differ(known[0], outputs) for outputs in known[1:]), "constant outputs prove nothing"


def assert_the_future_changes_nothing(stream: Stream) -> None:
    """Pieces after k change no output for piece k, but later ones."""
    k = stream.steps // 2
    changed, before = stream.with_other_future(k), stream.whole(k)
    assert all(value.size and (value.dtype.kind != "U" or str(value)) for value in before.values()), "empty output"
    assert_close(changed.whole(k), before)
    last, changed_last = stream.whole(stream.steps - 1), changed.whole(changed.steps - 1)
    assert _differ(changed_last, last), "the changed future has no effect"


def _differ(one, other):
    return any(not np.array_equal(one[name], other[name]) for name in one)
