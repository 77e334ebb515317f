"""`predict --data FILE --to FILE` keeps the columns of the input and writes the same predictions in all formats."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from shared import workflow
from shared.cli import main
from shared.export.versions import load_metadata
from shared.task import load_predict_options, load_readers, trained_config
from tests.contract.labelled_files import ROW_COLUMNS, write_test_split


def read_back(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    return pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


@pytest.fixture
def source(trained, tmp_path):
    return write_test_split(trained, tmp_path)


def test_all_formats_have_the_predictions_of_the_library(trained, source, tmp_path):
    name, metadata = trained.task.name, load_metadata(trained.version)
    options = load_predict_options(name)()
    inputs = load_readers(name).read_inputs(trained_config(metadata), source, metadata, options)
    chunks = list(workflow.predict(trained.task, trained.version, inputs, options))
    expected = pd.concat([chunk.table for chunk in chunks], ignore_index=True)
    input_columns = ROW_COLUMNS.get(name) or list(pd.read_parquet(source).columns)
    assert len(expected) == (len(pd.read_parquet(source)) if name not in ROW_COLUMNS else expected["ticker"].nunique())
    assert list(expected.columns[: len(input_columns)]) == input_columns
    predicted = list(chunks[0].predictions.columns)
    assert predicted
    for suffix in ("csv", "jsonl", "parquet"):
        path = tmp_path / f"out.{suffix}"
        models = str(trained.version.parents[1])
        assert main(["predict", name, "--models", models, "--data", source, "--to", str(path)]) == 0
        table = read_back(path)
        assert list(table.columns) == list(expected.columns)
        columns = expected[predicted]
        if suffix == "csv":  # an empty cell stands for an empty text and for a missing value
            columns = columns.replace("", np.nan)
        pd.testing.assert_frame_equal(
            table[predicted], columns, check_dtype=False, check_exact=False, rtol=1e-6, atol=1e-7
        )


def test_a_prediction_has_one_value_per_column(trained):
    predicted = workflow.predict_lines(trained.task, trained.version, trained.task.example_inputs)
    assert not any(
        isinstance(value, (list, dict)) for name in predicted.predictions for value in predicted.predictions[name]
    )
