"""Tables of scores have models and metrics as rows and columns, whichever is shorter."""

from __future__ import annotations

from shared.reports.grids import markdown_table, score_grid
from tests.shared.evaluation.scores import SCORES, score


def format_cell(one):
    return f"{one.value:.4f}"


def test_the_table_has_one_row_per_model_and_one_column_per_metric():
    lines = markdown_table(score_grid(SCORES, format_cell)).splitlines()
    assert lines[0] == "| model | accuracy | log_loss | roc_auc |"
    assert lines[2] == "| exported | 0.9000 | 0.3000 |  |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["exported", "a", "b"]


def test_a_table_of_many_metrics_has_one_row_per_metric():
    scores = [score(model, f"m{k}", k / 10) for model in ("exported", "a") for k in range(8)]
    rows = score_grid(scores, format_cell, str.upper)
    assert rows[0] == ["metric", "exported", "a"]
    assert len(rows) == 9
    assert rows[2] == ["M1", "0.1000", "0.1000"]
