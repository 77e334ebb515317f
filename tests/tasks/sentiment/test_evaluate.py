"""The baselines and the components give predictions that are scored like those of the exported model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.sources import Origin, Splits
from tasks.sentiment.baselines import baselines
from tasks.sentiment.evaluate import score


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    texts = [f"a {('dull', 'fine')[label]} film <br /> {k}" for k, label in enumerate(labels)]
    table = pd.DataFrame({"text": texts, "label": np.array(["bad", "good"], object)[labels]})
    frames = (part.reset_index(drop=True) for part in (table[:200], table[200:250], table[250:]))
    return Splits(*frames, origin=Origin("films", "", "", "", ""))


def test_baselines_are_fitted_to_the_training_split(splits):
    for name, fit in baselines().items():
        probabilities = fit(splits, ["bad", "good"])(splits.test)
        assert probabilities.shape == (50, 2)
        scores = {
            s.metric: s.value for s in score(splits.test, {"probabilities": probabilities}, {"labels": ["bad", "good"]})
        }
        assert scores["accuracy"] == (1.0 if name != "majority" else pytest.approx(0.5, abs=0.2))


def test_scores_follow_the_order_of_the_classes(splits):
    probabilities = np.stack([np.full(50, 0.2), np.full(50, 0.8)], axis=1)
    for labels, expected in ((["bad", "good"], "good"), (["good", "bad"], "bad")):
        scores = {s.metric: s.value for s in score(splits.test, {"probabilities": probabilities}, {"labels": labels})}
        assert scores["accuracy"] == pytest.approx((splits.test["label"] == expected).mean())
