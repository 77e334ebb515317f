"""Reasons sum to the difference from the reference, and name what the model looked at."""

from __future__ import annotations

import numpy as np
import pytest

from shared.state.memory import MemoryStore
from shared.streams import Predictors
from tasks.fraud.reasons import AMOUNT, CARD, TERMINAL, Explainer
from tasks.fraud.states import StepModel
from tasks.fraud.stored import score_transactions

DAY, START = 86_400, 1_530_000_000


@pytest.fixture
def request_of_two(step_model):
    """A huge amount at a terminal without fraud, and an ordinary one at a terminal with frauds."""
    card_state = np.zeros((2, step_model.predictors.examples["step"]["card_state"].shape[1]), np.float32)
    fraud = np.array([[0, 0, -1, -1], [0, 1, 1, -1]], np.int32)
    time = np.array([START, START + 7_200], np.int64)
    request = {
        "time": time,
        "amount": np.array([980.0, 40.0], np.float32),
        "terminal_time": np.where(fraud >= 0, time[:, None] - 8 * DAY, 0),
        "terminal_amount": np.where(fraud >= 0, 40.0, 0.0).astype(np.float32),
        "terminal_fraud": fraud,
        "card_state": card_state,
        "card_time": np.array([START - 12, 0], np.int64),
    }
    stamp = step_model.predictors.call["step"](request)["card_state"][0, -1]
    card_state[0, [0, 1, 2, -1]] = 4.0, 12.1, 40.0, stamp
    return request


@pytest.fixture
def transparent(step_model):
    """A model whose log-odds are known: the amount, and the number of frauds of the terminal."""

    def step(request):
        logit = request["amount"] / 100 + 2.0 * (request["terminal_fraud"] == 1).sum(axis=1) - 4
        outputs = {name: request[name] for name in ("card_state", "card_time")}
        return outputs | {"fraud_probability": (1 / (1 + np.exp(-logit))).astype(np.float32)}

    predictors = Predictors({"step": step}, step_model.predictors.examples)
    return StepModel(predictors, step_model.metadata)


def test_contributions_sum_to_the_difference_from_the_reference(step_model, frame, request_of_two):
    explainer = Explainer(step_model, frame)
    contributions = explainer.contributions(request_of_two)
    all_inputs = np.ones(len(explainer.inputs), bool)
    difference = explainer.log_odds(request_of_two, all_inputs) - explainer.log_odds(request_of_two, ~all_inputs)
    np.testing.assert_allclose(contributions.sum(axis=1), difference, atol=1e-6)
    probability = step_model.predictors.call["step"](request_of_two)["fraud_probability"].astype(float)
    log_odds = explainer.log_odds(request_of_two, all_inputs)
    np.testing.assert_allclose(log_odds, np.log(probability / (1 - probability)), atol=1e-5)
    assert np.abs(contributions).max() > 0.01


def test_the_first_reason_is_what_raises_the_score(transparent, frame, request_of_two):
    outputs = Explainer(transparent, frame).explain(request_of_two)
    assert outputs["reason_1"].tolist() == [
        "amount 980.00 is 8.1 times the card's mean of 121.00",
        "the terminal has 2 frauds among its newest 3 labelled transactions, the last one 8 days ago",
    ]
    np.testing.assert_allclose(outputs["reason_1_contribution"], [9.4, 4.0], atol=1e-3)
    np.testing.assert_allclose(outputs["reason_2_contribution"], 0, atol=1e-3)


def test_texts_say_what_is_missing(step_model, frame, request_of_two):
    explainer = Explainer(step_model, frame)
    request = request_of_two | {"terminal_fraud": np.full((2, 4), -1, np.int32), "amount": np.float32([-5, 20])}
    texts = {name: explainer._describe(name, request) for name in explainer.inputs}
    assert texts[AMOUNT] == [
        "amount -5.00 is a refund",
        "amount 20.00 is 0.5 times the mean of all training transactions of 40.00",
    ]
    assert texts[CARD][1] == "the card has no earlier transactions"
    assert texts["time since last"] == [
        "12 seconds after the card's previous transaction",
        "first known transaction of the card",
    ]
    assert texts[TERMINAL] == ["the terminal has no labelled transactions"] * 2


def test_further_columns_have_their_own_contributions(step_model, frame, request_of_two):
    metadata = {**step_model.metadata, "numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["DE", "FR"]}}

    def step(request):
        logit = (request["age"] - 40) / 10 + 3.0 * (request["country"] == "XX")
        outputs = {name: request[name] for name in ("card_state", "card_time")}
        return outputs | {"fraud_probability": 1 / (1 + np.exp(-logit))}

    model = StepModel(Predictors({"step": step}, step_model.predictors.examples), metadata)
    request = request_of_two | {"age": np.float32([60, np.nan]), "country": np.array(["DE", "XX"], object)}
    request["age"][1] = 41
    outputs = Explainer(model, frame.assign(age=40.0, country="DE")).explain(request)
    assert outputs["reason_1"].tolist() == ["age is 60", 'country is "XX"']
    np.testing.assert_allclose(outputs["reason_1_contribution"], [2.0, 3.0], atol=1e-5)


def test_only_scored_rows_are_returned_in_the_order_of_the_table(step_model, frame):
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    is_scored = (shuffled["time"] > frame["time"].iloc[89]).to_numpy()
    outputs = score_transactions(step_model, MemoryStore(), shuffled, is_scored, has_reasons=True)
    amounts = shuffled["amount"][is_scored].tolist()
    rows = zip(*(outputs[f"reason_{k}"] for k in (1, 2, 3)), amounts, strict=True)
    named = [(text, amount) for *texts, amount in rows for text in texts if text.startswith("amount")]
    assert len(outputs["alert"]) == 10
    assert named
    assert all(f"{amount:.2f}" in text for text, amount in named)
