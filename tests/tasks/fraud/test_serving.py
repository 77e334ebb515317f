"""One transaction at a time is the same as the whole history, and lines of JSON find their way in and out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score

from shared.errors import DataError
from tasks.fraud import serving
from tasks.fraud.config import FraudConfig
from tasks.fraud.transaction_index import UNKNOWN, build_transaction_index


@pytest.fixture
def served(views, metadata):
    metadata |= {
        "task": "fraud",
        "threshold": 0.4,
        "reports": views.config.memory.reports,
        "alerts_per_day": 3,
        "columns": {
            "card": "card",
            "time": "when",
            "amount": "euro",
            "label": "fraud",
            "terminal": "shop",
            "numeric": [],
            "categorical": [],
        },
    }
    return serving.export_spec(views.whole((1.1, -0.2)), metadata)


def call(served, name="serving_default"):
    def answer(request):
        tensors = {key: tf.constant(value) for key, value in request.items()}
        return {key: np.asarray(value) for key, value in served.signatures[name].function(**tensors).items()}

    return answer


def test_step_over_a_cards_history_equals_serving_default(served, frame):
    ledger = build_transaction_index(frame, 7)
    cards = np.unique(ledger.first)
    request = serving.histories(ledger, cards, 4, terminal=True)
    whole, step = call(served)(request), call(served, "step")
    length = request.pop("length")
    state = {
        "card_state": np.zeros((len(cards), 3 + 2 * 9), np.float32),
        "card_time": np.zeros(len(cards), np.int64),
    }
    for k in range(length.max()):
        answer = step({**{name: value[:, k] for name, value in request.items()}, **state})
        real = k < length
        np.testing.assert_allclose(answer["fraud_probability"][real], whole["fraud_probability"][real, k], atol=1e-5)
        np.testing.assert_array_equal(answer["alert"][real], whole["alert"][real, k])
        state = {name: answer[name] for name in state}
    assert length.max() > 10


def test_padding_is_no_alert_and_alerts_begin_at_the_threshold(served, frame):
    ledger = build_transaction_index(frame, 7)
    request = serving.histories(ledger, np.unique(ledger.first), 4, terminal=True)
    answer = call(served)(request)
    real = np.arange(answer["alert"].shape[1]) < request["length"][:, None]
    assert not answer["alert"][~real].any()
    assert (answer["fraud_probability"][~real] == 0).all()
    np.testing.assert_array_equal(answer["alert"][real], answer["fraud_probability"][real] >= 0.4)


def test_a_terminals_reports_may_come_in_any_order_and_number():
    fraud = np.array([[UNKNOWN, 1, 0, UNKNOWN, 1, 0]], np.int32)
    time = np.array([[0, 50, 10, 99, 30, 20]], np.int64)
    fields = {"terminal_time": time, "terminal_amount": time.astype(np.float32), "terminal_fraud": fraud}
    fields = {name: tf.constant(value) for name, value in fields.items()}
    three, six = ({k: v.numpy() for k, v in serving.newest(fields, n).items()} for n in (3, 6))
    np.testing.assert_array_equal(three["terminal_time"], [[20, 30, 50]])
    np.testing.assert_array_equal(three["terminal_fraud"], [[0, 1, 1]])
    np.testing.assert_array_equal(six["terminal_time"][0, :4], [10, 20, 30, 50])
    np.testing.assert_array_equal(six["terminal_fraud"][0, 4:], [UNKNOWN, UNKNOWN])


def line(**changes) -> str:
    return json.dumps({"card": "a", "shop": "x", "when": "2020-01-01 10:00:00", "euro": 20.0} | changes)


def test_lines_are_answered_in_their_order_each_with_what_came_before_it(served, metadata):
    early, late = line(), line(when="2020-01-03 10:00:00", euro=60.0)
    answer = serving.predict([late, early], metadata, call(served))["fraud_probability"]
    other = serving.predict([early, late], metadata, call(served))["fraud_probability"]
    np.testing.assert_allclose(answer, other[::-1], atol=1e-7)
    alone = serving.predict([late], metadata, call(served))["fraud_probability"]
    assert abs(alone[0] - answer[0]) > 1e-6


def test_a_label_tells_of_the_terminal_once_the_delay_is_over(served, metadata):
    def last(label, when):
        lines = [line(card="b", fraud=label), line(when=when)]
        return serving.predict(lines, metadata, call(served))["fraud_probability"][1]

    assert last(1, "2020-01-08 09:59:00") == pytest.approx(last(0, "2020-01-08 09:59:00"), abs=1e-7)
    assert last(1, "2020-01-08 10:00:00") != pytest.approx(last(0, "2020-01-08 10:00:00"), abs=1e-7)
    assert last(None, "2020-01-08 10:00:00") != pytest.approx(last(0, "2020-01-08 10:00:00"), abs=1e-7)


def test_a_file_of_labelled_transactions_is_judged_by_the_models_own_columns(served, metadata, frame, tmp_path):
    names = {"terminal": "shop", "time": "when", "amount": "euro"}
    frame.sample(frac=1, random_state=0).rename(columns=names).to_csv(tmp_path / "a.csv", index=False)
    scores = {
        s.metric: s.value for s in serving.score_file(FraudConfig(), str(tmp_path / "a.csv"), metadata, call(served))
    }
    answer = serving.answered(frame, metadata, call(served))["fraud_probability"]
    assert scores["average_precision"] == pytest.approx(average_precision_score(frame["fraud"], answer), abs=1e-6)
    assert set(scores) == {"average_precision", "roc_auc", "card_precision_at_3", "log_loss"}
    frame.assign(fraud=0).rename(columns=names).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="holds but one class"):
        serving.score_file(FraudConfig(), str(tmp_path / "b.csv"), metadata, call(served))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no json", 'line 2: "no json" is not JSON'),
        ("[1]", 'line 2: no "card"'),
        ('{"card": "a"}', 'line 2: no "shop"'),
        (line(euro="much"), "row 2: .* expected a finite number"),
        (line(when="soon"), "row 2: .* expected a time such as"),
    ],
)
def test_a_line_that_cannot_be_used_is_told(served, metadata, text, complaint):
    with pytest.raises(DataError, match=complaint):
        serving.predict([line(), text], metadata, call(served))
