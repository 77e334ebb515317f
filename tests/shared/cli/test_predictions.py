"""Tables of predictions in the terminal: errors are shown even where not all columns have space."""

from __future__ import annotations

import pandas as pd

from shared.cli.predictions import print_tables
from shared.prediction_run import PredictedRows

WIDE = {f"probability_of_a_class_with_a_long_name_{k}": [0.5, 0.25] for k in range(6)}


def chunk(error: str | None) -> PredictedRows:
    predictions = pd.DataFrame({**WIDE, "error": [None, error]})
    return PredictedRows(pd.DataFrame({"text": ["a", "b"]}), predictions, int(error is not None))


def test_an_error_is_shown_before_the_predictions(capsys):
    print_tables([chunk("column x is empty")])
    printed = capsys.readouterr()
    assert "column x is empty" in printed.out
    assert "probability_of_a_class_with_a_long_name_0" in printed.out
    assert printed.err == ""


def test_errors_after_the_first_chunk_are_counted(capsys):
    print_tables([chunk(None), chunk("column x is empty")])
    assert "1 rows could not be read, see the column error with --to FILE.csv." in capsys.readouterr().err
