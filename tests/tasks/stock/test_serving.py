"""Signatures with and without state, and predictions for a user's lines and files."""

from __future__ import annotations

import dataclasses
import json
from datetime import date

import numpy as np
import pytest
import tensorflow as tf

from shared.data.notices import collect_notices
from shared.errors import DataError
from shared.task import trained_config
from tasks.stock import serving
from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import KNOT_Z_SCORES
from tasks.stock.config import FIELDS, PRESETS, ColumnsConfig, PredictOptions
from tasks.stock.evaluate import naive_errors, score
from tasks.stock.forecasts import calibrated_forecast
from tasks.stock.inputs import READERS
from tasks.stock.model import build_parameter_model
from tasks.stock.predictive import LEVELS, row_scores

OPTIONS = PredictOptions(every_day=True)


@pytest.fixture
def metadata(metadata):
    return {
        **metadata,
        "evaluation": {"trajectory_days": [], "up_threshold": 0.002, "down_threshold": 0.001},
        "z_scores": np.tile(1.2 * KNOT_Z_SCORES, (2, 1)).tolist(),
    }


@pytest.fixture
def signatures(builder, config, metadata):
    z_scores = serving.exported_z_scores(np.asarray(metadata["z_scores"]), config.forecast.quantiles)
    return serving.export_spec(builder.full_model(z_scores), metadata).signatures


def test_a_ticker_with_fewer_days_than_the_minimum_gets_no_forecast(signatures, market, config):
    request = build_request(market)
    for days in (1, config.features.min_history - 1, config.features.min_history):
        short = {name: request[name][:, :days] for name in FIELDS}
        outputs = signatures["serving_default"].function(**short, length=tf.constant([days]))
        for name in ("price_quantiles", "expected_volatility", "up_probability"):
            assert np.isnan(outputs[name]).all() == (days < config.features.min_history)
            assert np.isnan(outputs[name]).any() == (days < config.features.min_history)
        assert np.isfinite(outputs["state"]).all()


def test_rows_with_a_short_history_are_named_in_a_notice(metadata, predictor):
    with collect_notices() as notices:
        inputs = READERS.parse_inputs(trained_config(metadata), serving.EXAMPLES, metadata, OPTIONS)
        predictions = serving.predict(inputs.records, metadata, predictor, OPTIONS)
    assert np.isnan(predictions["up_probability"]).all(axis=1).tolist() == [True] * 5 + [False] * 35
    assert "No forecast for 5 of 40 rows, because the ticker has fewer than 6 days up to them: ABC." in str(notices[-1])


def build_request(market, ticker="AAA"):
    rows = market[market["ticker"] == ticker]
    fields = {name: tf.constant(rows[name].to_numpy(np.float32)[None]) for name in FIELDS}
    return {**fields, "length": tf.constant([len(rows)], tf.int32)}


def test_single_days_equal_the_whole_series(signatures, market):
    request = build_request(market)
    state = tf.zeros_like(signatures["step"].example_request["state"][:1])
    for day in range(90):
        outputs = signatures["step"].function(**{name: request[name][:, day] for name in FIELDS}, state=state)
        state = outputs["state"]
        if day in (0, 20, 89):
            fields = {name: request[name][:, : day + 1] for name in FIELDS}
            whole = signatures["serving_default"].function(**fields, length=tf.constant([day + 1]))
            for name, values in whole.items():
                np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("close", 0.0, "close must be finite and above 0"),
        ("close", -1.0, "close must be finite and above 0"),
        ("close", np.nan, "close must be finite and above 0"),
        ("open", np.inf, "open must be finite, or NaN"),
        ("volume", np.inf, "volume must be finite, or NaN"),
    ],
)
def test_inputs_that_can_only_give_nan_are_refused_by_name(signatures, name, value, message):
    for key in ("serving_default", "step"):
        request = {field: array.copy() for field, array in signatures[key].example_request.items()}
        request[name].reshape(-1)[0] = value
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures[key].function(**{field: tf.constant(array) for field, array in request.items()})


def test_lengths_and_shapes_that_do_not_fit_are_refused_by_name(signatures):
    series = signatures["serving_default"]
    days = series.example_request["close"].shape[1]
    for change, message in (
        ({"length": np.array([days + 1, 1], np.int32)}, "length must be from 1"),
        ({"length": np.array([0, 1], np.int32)}, "length must be from 1"),
        ({"high": series.example_request["high"][:, 1:]}, "high must have the same shape as close"),
    ):
        request = {**series.example_request, **change}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            series.function(**{field: tf.constant(array) for field, array in request.items()})


def test_quantiles_are_increasing_prices_and_equal_those_of_the_evaluation(
    signatures, market, builder, metadata, config
):
    request = build_request(market)
    outputs = signatures["serving_default"].function(**request)
    quantiles = outputs["price_quantiles"].numpy()[0]
    assert (np.diff(quantiles, axis=-1) > 0).all()
    parameters = np.asarray(build_parameter_model(builder.submodels)({n: v.numpy() for n, v in request.items()}))[:, -1]
    z_scores = np.asarray(metadata["z_scores"])
    forecast = calibrated_forecast(parameters, np.zeros((1, 2)), z_scores).quantiles[0]
    close = float(request["close"][0, -1])
    for k, level in enumerate(config.forecast.quantiles):
        expected = close * np.exp(forecast[:, np.argmin(np.abs(LEVELS - level))])
        np.testing.assert_allclose(quantiles[:, k], expected, rtol=1e-4)
    spread = (forecast[:, -20] - forecast[:, 19]) / 2 / 1.2816
    np.testing.assert_allclose(outputs["expected_volatility"][0], spread, rtol=0.35)


def test_the_keras_model_gives_the_same_quantiles(signatures, market, builder, config, metadata):
    request = build_request(market)
    z_scores = serving.exported_z_scores(np.asarray(metadata["z_scores"]), config.forecast.quantiles)
    model = builder.full_model(z_scores)
    expected = signatures["serving_default"].function(**request)["price_quantiles"]
    np.testing.assert_allclose(model(request), expected, rtol=1e-5)


@pytest.fixture
def predictor(signatures):
    def predict(request):
        outputs = signatures["serving_default"].function(**{k: tf.constant(v) for k, v in request.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return predict


@pytest.fixture
def predict_lines(metadata, predictor):
    def predict(lines):
        inputs = READERS.parse_inputs(trained_config(metadata), lines, metadata, OPTIONS)
        return serving.predict(inputs.records, metadata, predictor, OPTIONS)

    return predict


@pytest.fixture
def read_file(metadata, tmp_path):
    """Writes a file and reads it as input of `predict`, with these columns in place of those of the training."""

    def read(content, **columns):
        (tmp_path / "quotes.csv").write_text(content)
        config = dataclasses.replace(trained_config(metadata), columns=ColumnsConfig(**columns))
        return next(READERS.read_inputs(config, str(tmp_path / "quotes.csv"), metadata, OPTIONS))

    return read


def make_line(day, close, ticker="OAK"):
    return json.dumps({"Ticker": ticker, "Date": day, "Close": close})


def test_predictions_keep_the_order_of_the_lines_and_use_the_days_up_to_each(predict_lines):
    lines = list(serving.EXAMPLES)
    predictions = predict_lines(lines)
    assert predictions["price_quantiles"].shape == (len(lines), 2, 7)
    assert set(predictions) == {"price_quantiles", "expected_volatility", "up_probability"}
    backwards = predict_lines(lines[::-1])
    np.testing.assert_allclose(backwards["up_probability"][::-1], predictions["up_probability"], atol=1e-6)
    fewer = predict_lines(lines[:-5])
    np.testing.assert_allclose(fewer["price_quantiles"], predictions["price_quantiles"][:-5], rtol=1e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "line 2.*not JSON"),
        ('{"Ticker": "A"}', 'line 2: no "Date"'),
        (make_line("2020-01-01", -1), "row 2.*greater than 0"),
        (make_line("2020-01-01", None), 'row 2: column "Close" is empty'),
        (make_line("2020-01-02", 4), "2020-01-02"),
    ],
)
def test_an_invalid_line_raises_an_error_that_names_it(predict_lines, line, message):
    with pytest.raises(DataError, match=message):
        predict_lines([make_line("2020-01-02", 3.0), line])


def test_the_scores_of_a_file_equal_those_of_the_evaluation(metadata, predictor, market, tmp_path, config, builder):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    market.rename(columns=names).to_csv(tmp_path / "new.csv", index=False)
    metadata["naive_errors"] = naive_errors(market.assign(is_scored_row=True), config.forecast.horizons)
    records = READERS.read_records(trained_config(metadata), str(tmp_path / "new.csv"), metadata)
    scores = score(records, serving.predict_labelled(records, metadata, predictor), metadata)
    assert {s.model for s in scores} == {"exported"}
    by_metric = {s.metric: s for s in scores}
    panel = build_panel(market.assign(is_scored_row=True), config)
    returns = panel.returns[panel.has_outcome].astype(np.float64)
    parameter_model = build_parameter_model(builder.submodels)
    parameters = predict_parameters(parameter_model, WindowBatches(panel, config.features))
    forecast = calibrated_forecast(parameters, returns, np.asarray(metadata["z_scores"]))
    expected_scores = row_scores(forecast, returns)
    for k, horizon in enumerate(config.forecast.horizons):
        for metric, tolerance in (("crps", 0.05), ("coverage_80", 0.03)):
            expected = np.nanmean(expected_scores[metric][:, k])
            assert by_metric[f"{metric}_{horizon}d"].value == pytest.approx(expected, rel=tolerance)


def test_the_days_before_the_calibration_are_history_and_not_scored(metadata, predictor, market, tmp_path, config):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    market.rename(columns=names).to_csv(tmp_path / "new.csv", index=False)
    calibrated = {
        **metadata,
        "calibrated_until": "2020-03-01",
        "naive_errors": naive_errors(market.assign(is_scored_row=True), config.forecast.horizons),
    }
    records = READERS.read_records(trained_config(metadata), str(tmp_path / "new.csv"), calibrated)
    assert records["day"][records["is_scored_row"]].min() == np.datetime64("2020-03-02")
    predictions = serving.predict_labelled(records, calibrated, predictor)
    is_predicted = np.isfinite(predictions["up_probability"]).all(axis=1)
    assert is_predicted.tolist() == build_panel(records, config).has_outcome.tolist()
    calibrated["calibrated_until"] = "2030-01-01"
    assert READERS.read_records(trained_config(metadata), str(tmp_path / "new.csv"), calibrated)["is_scored_row"].all()


def test_the_settings_of_the_training_are_those_of_the_model(metadata):
    config = trained_config(metadata)
    assert (config.evaluation.up_threshold, config.evaluation.down_threshold) == (0.002, 0.001)
    assert config.forecast.horizons == tuple(metadata["forecast"]["horizons"])
    assert config.training == PRESETS["default"].training


def test_the_inputs_of_a_file_equal_lines_with_the_columns_of_the_model(predict_lines, read_file, metadata, predictor):
    days = [f"{day:02}.03.2024" for day in range(1, 31)]
    rows = "".join(f"OAK;{day};{100 + k},5\n" for k, day in enumerate(days))
    columns = {"ticker": "Kuerzel", "time": "Datum", "time_format": "%d.%m.%Y", "close": "Schluss"}
    inputs = read_file(f"Kuerzel;Datum;Schluss\n{rows}", **columns)
    assert inputs.rows.iloc[0].to_dict() == {"Kuerzel": "OAK", "Datum": "01.03.2024", "Schluss": "100,5"}
    expected = predict_lines([make_line(f"2024-03-{k + 1:02}", 100.5 + k) for k in range(30)])
    predictions = serving.predict(inputs.records, metadata, predictor, OPTIONS)
    assert len(inputs.rows) == len(inputs.predicted_positions) == 30
    np.testing.assert_allclose(predictions["price_quantiles"], expected["price_quantiles"], rtol=1e-6)


@pytest.mark.parametrize("empty", ["", "null", "NaN", "n/a", " "])
def test_a_row_without_a_close_gets_no_forecast(read_file, predict_lines, metadata, predictor, empty):
    inputs = read_file(f"Ticker,Date,Close\nOAK,2024-03-04,5\nOAK,2024-03-01,{empty}\nOAK,2024-03-05,6\n")
    assert inputs.rows["Date"].tolist() == ["2024-03-04", "2024-03-01", "2024-03-05"]
    assert inputs.predicted_positions.tolist() == [0, 2]
    expected = predict_lines([make_line("2024-03-04", 5), make_line("2024-03-05", 6)])
    predictions = serving.predict(inputs.records, metadata, predictor, OPTIONS)
    np.testing.assert_allclose(predictions["price_quantiles"], expected["price_quantiles"], rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"), [("OAK,2024-03-01,\n", "no row has a close above 0"), ("", "has no records")]
)
def test_a_file_without_a_close_raises_an_error(read_file, rows, message):
    with pytest.raises(DataError, match=rf"quotes\.csv: .*{message}"):
        read_file(f"Ticker,Date,Close\n{rows}")


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("Date,A,B\n2024-03-01,1,2\n2024-03-04,3,0\n", {"layout": "wide"}, 'row 2: column "B" is 0'),
        ("Ticker,Date,Close,Adj Close\nOAK,2024-03-01,5,0\nELM,2024-03-01,5,5\n", {}, 'row 1: column "Adj Close" is 0'),
        ("Ticker,Date,Close\nOAK,2024-03-01,-5\nELM,2024-03-01,5\n", {}, 'row 1: column "Close" is -5'),
    ],
)
def test_a_ticker_with_impossible_prices_gets_no_forecast(read_file, content, columns, message):
    with collect_notices() as notices:
        inputs = read_file(content, **columns)
    assert (inputs.records["close"] > 0).all()
    assert any(message in str(notice) for notice in notices), notices


def test_an_error_names_the_file_and_its_row(read_file):
    with pytest.raises(DataError, match=r'quotes\.csv, row 3.*"Close"'):
        read_file("Ticker,Date,Close\nOAK,2024-03-01,5\nOAK,2024-03-04,\nOAK,2024-03-05,much\n")


def test_a_wide_file_gives_one_line_per_ticker_and_day(read_file, metadata, predictor):
    inputs = read_file("Date,A,B\n2024-03-01,1,2\n2024-03-04,3,\n", layout="wide")
    assert list(inputs.rows[["Ticker", "Date", "Close"]].itertuples(index=False, name=None)) == [
        ("A", "2024-03-01", 1.0),
        ("A", "2024-03-04", 3.0),
        ("B", "2024-03-01", 2.0),
    ]
    assert inputs.predicted_positions.tolist() == [0, 1, 2]
    predictions = serving.predict(inputs.records, metadata, predictor, OPTIONS)
    assert predictions["price_quantiles"].shape == (3, 2, 7)


def test_the_options_choose_the_days_that_are_scored(metadata, market, tmp_path):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    market.rename(columns=names).to_csv(tmp_path / "new.csv", index=False)

    def scored_days(calibrated_until="2020-03-01", **days):
        config = trained_config(metadata)
        split = dataclasses.replace(config.split, **{name: date.fromisoformat(day) for name, day in days.items()})
        records = READERS.read_records(
            dataclasses.replace(config, split=split),
            str(tmp_path / "new.csv"),
            {**metadata, "calibrated_until": calibrated_until},
        )
        chosen = records["day"][records["is_scored_row"]]
        return str(chosen.min())[:10], str(chosen.max())[:10]

    with collect_notices() as notices:
        assert scored_days(test_from="2020-03-10", test_until="2020-03-20") == ("2020-03-10", "2020-03-20")
        assert not [n for n in notices if "too good" in n.message]
        assert scored_days(test_from="2020-02-10")[0] == "2020-02-10"
    assert "calibrated on the days until 2020-03-01" in str(notices[-1])
    with pytest.raises(DataError, match=r"the days are .* none is chosen by --split\.test-from 2030-01-01"):
        scored_days(test_from="2030-01-01")
