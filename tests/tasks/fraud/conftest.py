"""A small table of transactions, and an untrained model for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared import evaluation_run
from shared.config import LSTMConfig
from shared.streams import Predictors, VersionPredictor
from tasks.fraud import data, sample
from tasks.fraud.batches import compute_components, join_logits
from tasks.fraud.config import FeaturesConfig, FraudConfig, ModelConfig
from tasks.fraud.model import SubmodelBuilder
from tasks.fraud.serving import export_spec
from tasks.fraud.states import StepModel
from tasks.fraud.transaction_index import build_transaction_index
from tasks.fraud.trees import build_tree_model, fit_trees

DAY = 86_400


@pytest.fixture
def config() -> FraudConfig:
    return FraudConfig(
        features=FeaturesConfig(burn_in=4, window_length=3, terminal_history_length=4, recent_transactions=5),
        model=ModelConfig(terminal_units=(3,), hidden_units=6),
        lstm=LSTMConfig(units=(5, 4)),
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    """100 transactions of six cards at four terminals in forty days, a third of them fraud, in time order."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "card": rng.integers(0, 6, 100).astype(str).astype(object),
            "terminal": rng.integers(0, 4, 100).astype(str).astype(object),
            "time": np.sort(rng.integers(0, 40 * DAY, 100)) + 1_530_000_000,
            "amount": rng.gamma(2.0, 20.0, 100).astype(np.float32),
            "fraud": (rng.uniform(size=100) < 0.3).astype(np.int8),
        }
    )


@pytest.fixture
def metadata() -> dict:
    return {
        "amount_scale": 40.0,
        "amount_edges": [50.0, 90.0],
        "fraud_rate": 0.3,
        "label_delay_days": 7,
        "numeric": {},
        "categorical": {},
        "category_rates": {},
        "terminal": True,
    }


@pytest.fixture
def builder(config, metadata) -> SubmodelBuilder:
    import keras

    keras.utils.set_random_seed(3)
    return SubmodelBuilder(config, metadata)


@pytest.fixture
def predictor(builder, metadata) -> VersionPredictor:
    """The signature `step` of the untrained model, as if it was exported."""
    metadata |= {
        "task": "fraud",
        "threshold": 0.4,
        "terminal_history_length": builder.config.features.terminal_history_length,
        "columns": {"numeric": [], "categorical": []},
    }
    spec = export_spec(builder.full_model((1.0, 0.0)), metadata)
    call = {"step": evaluation_run.signature_predictor(spec, "step")}
    predictors = Predictors(call, {"step": spec.signatures["step"].example_request})
    return VersionPredictor(predictors, "step", "digest of the model", None)


@pytest.fixture
def step_model(predictor, metadata) -> StepModel:
    return StepModel(predictor.predictors, metadata)


@pytest.fixture(scope="session")
def simulated() -> pd.DataFrame:
    """The embedded sample, as the task reads it."""
    return data.convert(sample.generate(sample.SAMPLE, 1), FraudConfig(), "sample")


def compute_logits(submodels, index, is_selected):
    """Returns the logits of the selected rows, in the order of the index; each card starts at its first row."""
    return join_logits(submodels, compute_components(submodels, index, is_selected))


def expected_probabilities(frame, builder, metadata):
    """Returns the probabilities of all rows from the whole histories, in the order of the table."""
    index = build_transaction_index(frame, metadata["label_delay_days"])
    logits = compute_logits(builder.submodels, index, np.ones(len(frame), bool))
    probabilities = np.empty(len(frame))
    probabilities[index.order] = 1 / (1 + np.exp(-logits))
    return probabilities


@pytest.fixture
def full_model(builder, frame):
    """A model whose boosted trees are fitted to the table, with calibration and weights other than 1."""
    index = build_transaction_index(frame, 7)
    features = compute_components(builder.submodels, index, np.ones(len(frame), bool)).tree_features
    trees = build_tree_model(fit_trees(features, index.fraud, trees=12, seed=0))
    return builder.full_model((0.7, -0.2), trees, 0.6)
