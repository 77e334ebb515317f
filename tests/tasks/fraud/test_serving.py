"""`step` over a history equals `serving_default`, and input lines and files are converted to requests."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score

from shared.data.notices import collect_notices
from shared.errors import DataError
from shared.task import trained_config
from tasks.fraud import serving
from tasks.fraud.config import ColumnsConfig, PredictOptions
from tasks.fraud.evaluate import score
from tasks.fraud.inputs import READERS
from tasks.fraud.model import SubmodelBuilder
from tasks.fraud.transaction_index import UNKNOWN_LABEL, build_transaction_index
from tasks.fraud.transactions import with_model_names

OPTIONS = PredictOptions()

COLUMN_NAMES = {"terminal": "shop", "time": "when", "amount": "euro"}


@pytest.fixture
def spec(builder, full_model, metadata):
    metadata |= {
        "task": "fraud",
        "threshold": 0.4,
        "terminal_history_length": builder.config.features.terminal_history_length,
        "alerts_per_day": 3,
        "columns": {
            "card": "card",
            "time": "when",
            "time_format": None,
            "amount": "euro",
            "label": "fraud",
            "terminal": "shop",
            "numeric": [],
            "categorical": [],
        },
    }
    return serving.export_spec(full_model, metadata)


def make_predictor(spec, name="serving_default"):
    def predictor(request):
        tensors = {key: tf.constant(value) for key, value in request.items()}
        return {key: np.asarray(value) for key, value in spec.signatures[name].function(**tensors).items()}

    return predictor


def test_step_over_the_history_of_a_card_equals_serving_default(spec, builder, frame):
    index = build_transaction_index(frame, 7)
    cards = np.unique(index.first)
    request = serving.build_request(index, cards, 4, has_terminals=True)
    expected, step = make_predictor(spec)(request), make_predictor(spec, "step")
    length = request.pop("length")
    state = {
        "card_state": np.zeros_like(spec.signatures["step"].example_request["card_state"][:1]).repeat(
            len(cards), axis=0
        ),
        "card_time": np.zeros(len(cards), np.int64),
    }
    for k in range(length.max()):
        outputs = step({**{name: value[:, k] for name, value in request.items()}, **state})
        real = k < length
        probabilities = outputs["fraud_probability"][real]
        np.testing.assert_allclose(probabilities, expected["fraud_probability"][real, k], atol=1e-5)
        np.testing.assert_array_equal(outputs["alert"][real], expected["alert"][real, k])
        state = {name: outputs[name] for name in state}
    assert length.max() > 10


def test_an_unknown_value_of_a_numeric_column_is_no_error(config, metadata):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "threshold": 0.4}
    metadata["terminal_history_length"] = config.features.terminal_history_length
    spec = serving.export_spec(SubmodelBuilder(config, metadata).full_model((1.0, 0.0)), metadata)
    for key in ("serving_default", "step"):
        request = {name: array.copy() for name, array in spec.signatures[key].example_request.items()}
        request["age"][:] = np.nan
        assert np.isfinite(make_predictor(spec, key)(request)["fraud_probability"]).all()
        request["age"].reshape(-1)[0] = np.inf
        with pytest.raises(tf.errors.InvalidArgumentError, match="age must be finite, or NaN"):
            make_predictor(spec, key)(request)


@pytest.mark.parametrize("key", ["serving_default", "step"])
def test_invalid_numbers_and_shapes_are_refused_by_name(spec, key):
    signature = spec.signatures[key]
    for name, value in (("amount", np.nan), ("amount", np.inf), ("terminal_amount", np.nan)):
        request = {field: array.copy() for field, array in signature.example_request.items()}
        request[name].reshape(-1)[0] = value
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} must be finite"):
            make_predictor(spec, key)(request)
    short = signature.example_request["terminal_time"][..., 1:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same shape as terminal_time"):
        make_predictor(spec, key)({**signature.example_request, "terminal_time": short})


def test_padding_gives_no_alerts_and_alerts_begin_at_the_threshold(spec, frame):
    index = build_transaction_index(frame, 7)
    request = serving.build_request(index, np.unique(index.first), 4, has_terminals=True)
    outputs = make_predictor(spec)(request)
    is_real = np.arange(outputs["alert"].shape[1]) < request["length"][:, None]
    assert not outputs["alert"][~is_real].any()
    assert (outputs["fraud_probability"][~is_real] == 0).all()
    np.testing.assert_array_equal(outputs["alert"][is_real], outputs["fraud_probability"][is_real] >= 0.4)


def test_the_history_of_a_terminal_can_have_any_order_and_length():
    fraud = np.array([[UNKNOWN_LABEL, 1, 0, UNKNOWN_LABEL, 1, 0]], np.int32)
    time = np.array([[0, 50, 10, 99, 30, 20]], np.int64)
    fields = {"terminal_time": time, "terminal_amount": time.astype(np.float32), "terminal_fraud": fraud}
    fields = {name: tf.constant(value) for name, value in fields.items()}
    three, six = ({k: v.numpy() for k, v in serving.newest_entries(fields, n).items()} for n in (3, 6))
    np.testing.assert_array_equal(three["terminal_time"], [[20, 30, 50]])
    np.testing.assert_array_equal(three["terminal_fraud"], [[0, 1, 1]])
    np.testing.assert_array_equal(six["terminal_time"][0, :4], [10, 20, 30, 50])
    np.testing.assert_array_equal(six["terminal_fraud"][0, 4:], [UNKNOWN_LABEL, UNKNOWN_LABEL])


def make_line(**changes) -> str:
    return json.dumps({"card": "a", "shop": "x", "when": "2020-01-01 10:00:00", "euro": 20.0} | changes)


def predict(lines, metadata, spec):
    inputs = READERS.parse_inputs(trained_config(metadata), lines, metadata, OPTIONS)
    return predict_records(inputs, metadata, spec)


def predict_records(inputs, metadata, spec):
    return serving.predict(inputs.records, metadata, make_predictor(spec), OPTIONS)["fraud_probability"]


def with_columns(metadata, **columns):
    """Returns the configuration of the model with these columns in place of those of the training."""
    return dataclasses.replace(trained_config(metadata), columns=ColumnsConfig(**columns))


def test_predictions_have_the_order_of_the_lines_and_use_earlier_lines(spec, metadata):
    early, late = make_line(), make_line(when="2020-01-03 10:00:00", euro=60.0)
    probabilities = predict([late, early], metadata, spec)
    np.testing.assert_allclose(probabilities, predict([early, late], metadata, spec)[::-1], atol=1e-7)
    alone = predict([late], metadata, spec)
    assert abs(alone[0] - probabilities[0]) > 1e-6


def test_a_label_is_used_after_the_delay_and_not_before(spec, metadata):
    def predict_last(label, when):
        return predict([make_line(card="b", fraud=label), make_line(when=when)], metadata, spec)[1]

    before, after = "2020-01-08 09:59:00", "2020-01-08 10:00:00"
    assert predict_last(1, before) == pytest.approx(predict_last(0, before), abs=1e-7)
    assert predict_last(1, after) != pytest.approx(predict_last(0, after), abs=1e-7)
    assert predict_last(None, after) != pytest.approx(predict_last(0, after), abs=1e-7)


def test_a_labelled_file_is_scored_with_the_columns_of_the_trained_model(spec, metadata, frame, tmp_path):
    predictor = make_predictor(spec)
    renamed = frame.sample(frac=1, random_state=0).rename(columns=COLUMN_NAMES)
    renamed.to_csv(tmp_path / "a.csv", index=False)
    records = READERS.read_records(trained_config(metadata), str(tmp_path / "a.csv"), metadata)
    predictions = serving.predict_labelled(records, metadata, predictor)
    scores = {s.metric: s.value for s in score(records, predictions, metadata)}
    is_scored = records["is_scored_row"].to_numpy()
    assert 0 < is_scored.sum() < len(frame)  # without the cards with a known fraud
    assert records["time"].tolist() == frame["time"].tolist()
    probabilities = serving.predict(frame, metadata, predictor, OPTIONS)["fraud_probability"]
    np.testing.assert_allclose(predictions["fraud_probability"][is_scored], probabilities[is_scored], atol=1e-6)
    expected = average_precision_score(frame["fraud"][is_scored], probabilities[is_scored])
    assert scores["average_precision"] == pytest.approx(expected, abs=1e-6)
    assert set(scores) == {"average_precision", "roc_auc", "card_precision_at_3", "log_loss"}
    renamed.assign(fraud=0).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="only one class"):
        READERS.read_records(trained_config(metadata), str(tmp_path / "b.csv"), metadata)


@pytest.mark.usefixtures("spec")
def test_the_training_days_of_a_file_are_history_and_not_scored(metadata, frame, tmp_path):
    frame.rename(columns=COLUMN_NAMES).to_csv(tmp_path / "a.csv", index=False)
    day = np.datetime64(int(frame["time"].iloc[30]), "s").astype("datetime64[D]")
    trained = {**metadata, "trained_from": str(day), "trained_until": str(day)}
    records = READERS.read_records(trained_config(trained), str(tmp_path / "a.csv"), trained)
    scored_days = records["time"][records["is_scored_row"]].to_numpy().astype("datetime64[s]")
    assert len(records) == 100
    assert scored_days.min() >= day + 1 + metadata["label_delay_days"]
    later = {**trained, "trained_until": "2030-01-01"}  # the file has no later row
    records = READERS.read_records(trained_config(later), str(tmp_path / "a.csv"), later)
    assert records["is_scored_row"].iloc[:30].any()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("has_labels", [True, False])
def test_a_file_is_predicted_like_its_rows(spec, metadata, frame, tmp_path, suffix, has_labels):
    path = str(tmp_path / f"transactions.{suffix}")
    rows = frame.rename(columns=COLUMN_NAMES).drop(columns=[] if has_labels else ["fraud"])
    if suffix == "csv":
        rows.to_csv(path, index=False)
    elif suffix == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        rows.to_parquet(path)
    inputs = next(READERS.read_inputs(trained_config(metadata), path, metadata, OPTIONS))
    labels = frame["fraud"] if has_labels else np.int8(UNKNOWN_LABEL)
    expected = serving.predict(frame.assign(fraud=labels), metadata, make_predictor(spec), OPTIONS)
    np.testing.assert_allclose(predict_records(inputs, metadata, spec), expected["fraud_probability"], atol=1e-6)


def test_a_file_with_other_columns_is_read_with_the_options_of_the_user(metadata, spec, tmp_path):
    path = tmp_path / "payments.csv"
    path.write_text("account;booked;sum;shop\n7;01.03.2025 00:10;355,40;x\n")
    config = with_columns(
        metadata, card="account", time="booked", amount="sum", terminal="shop", time_format="%d.%m.%Y %H:%M"
    )
    inputs = next(READERS.read_inputs(config, str(path), metadata, OPTIONS))
    assert inputs.rows.iloc[0].to_dict() == {"account": "7", "booked": "01.03.2025 00:10", "sum": "355,40", "shop": "x"}
    expected = predict([make_line(when="2025-03-01 00:10:00", euro=355.4)], metadata, spec)
    np.testing.assert_allclose(predict_records(inputs, metadata, spec), expected, atol=1e-7)
    path.write_text(path.read_text() + "8;02.03.2025 00:10;;x\n")
    with pytest.raises(DataError, match=r'payments\.csv, row 2: column "sum" is empty'):
        next(READERS.read_inputs(config, str(path), metadata, OPTIONS))


def test_times_keep_their_seconds_if_the_model_was_trained_with_minutes(metadata, spec, tmp_path):
    """The order of two transactions in one minute decides which of them is the history of the other."""
    metadata["columns"]["time_format"] = "%d.%m.%Y %H:%M"
    (tmp_path / "a.csv").write_text(
        "card,shop,when,euro\na,x,2025-03-01 10:00:50,90\na,x,2025-03-01 10:00:10,20\n", encoding="utf-8"
    )
    columns = {"card": "card", "time": "when", "amount": "euro", "terminal": "shop", "time_format": None}
    inputs = next(READERS.read_inputs(with_columns(metadata, **columns), str(tmp_path / "a.csv"), metadata, OPTIONS))
    assert (inputs.records["time"].diff().iloc[1] == -40).all()


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize(
    ("columns", "received"), [((), "none"), (("b",), "b"), (("b", "c", "d"), "b c d"), (("limit", "age"), "limit age")]
)
def test_other_numeric_columns_than_those_of_the_model_are_an_error(metadata, frame, columns, received):
    metadata["columns"]["numeric"] = ["age", "limit"]
    config = with_columns(metadata, numeric=columns)
    with pytest.raises(DataError, match=rf"--columns\.numeric .*: age limit\. Received: {received}$"):
        with_model_names(frame, config, metadata)


@pytest.mark.usefixtures("spec")
def test_numeric_columns_with_other_names_stand_in_the_order_of_the_model(metadata, frame):
    metadata["columns"]["numeric"] = ["age", "limit"]
    table = frame.assign(a=1.0, b=2.0)
    renamed = with_model_names(table, with_columns(metadata, numeric=("b", "a")), metadata)
    assert (renamed["age"].iloc[0], renamed["limit"].iloc[0]) == (2.0, 1.0)


def test_a_file_without_a_column_raises_an_error_with_its_option(metadata, spec, frame, tmp_path):
    frame.rename(columns=COLUMN_NAMES).drop(columns="euro").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r'no column "euro".*--columns\.amount'):
        next(READERS.read_inputs(trained_config(metadata), str(tmp_path / "a.csv"), metadata, OPTIONS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", 'line 2: "no json" is not JSON'),
        ("[1]", 'line 2: no "card"'),
        ('{"card": "a"}', 'line 2: no "shop"'),
        (make_line(euro="much"), "row 2: .* expected a finite number"),
        (make_line(when="soon"), "row 2: .* expected a time such as"),
    ],
)
def test_an_invalid_line_raises_an_error_with_its_number(spec, metadata, text, message):
    with pytest.raises(DataError, match=message):
        predict([make_line(), text], metadata, spec)


@pytest.mark.usefixtures("spec")
def test_the_options_choose_the_days_that_are_scored(metadata, frame, tmp_path):
    frame.rename(columns=COLUMN_NAMES).to_csv(tmp_path / "a.csv", index=False)
    day = np.datetime64(int(frame["time"].iloc[30]), "s").astype("datetime64[D]")
    config = trained_config({**metadata, "trained_until": str(day)})
    metadata = {**metadata, "label_delay_days": 1_000}  # no card has a known fraud

    def scored(trained=metadata, **split):
        chosen = dataclasses.replace(config, split=dataclasses.replace(config.split, **split))
        records = READERS.read_records(chosen, str(tmp_path / "a.csv"), trained)
        return records["time"][records["is_scored_row"]].to_numpy().astype("datetime64[s]")

    times = scored(test_from=day.astype(object), test_days=3)
    assert day <= times.min() < day + 1
    assert times.max() < day + 3
    with collect_notices() as notices:
        scored({**metadata, "trained_until": str(day)}, test_from=day.astype(object))
    assert "the scores of days before that are too good" in str(notices[-1])
    with pytest.raises(DataError, match=r"--split\.test-days needs --split\.test-from"):
        scored(test_days=3)


@pytest.mark.usefixtures("spec")
def test_a_split_by_hours_is_evaluated_by_hours(metadata, frame, tmp_path):
    frame.rename(columns=COLUMN_NAMES).to_csv(tmp_path / "a.csv", index=False)
    hour = np.datetime64(int(frame["time"].iloc[30]), "s").astype("datetime64[h]")
    trained = {**metadata, "trained_from": str(hour), "trained_until": str(hour), "label_delay_days": 0.25}
    records = READERS.read_records(trained_config(trained), str(tmp_path / "a.csv"), trained)
    times = frame["time"].sort_values().to_numpy().astype("datetime64[s]")
    first = records["time"][records["is_scored_row"]].to_numpy().astype("datetime64[s]").min()
    assert hour + 7 <= first
    assert first <= times[times >= hour + 7][3]
