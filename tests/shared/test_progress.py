"""Stages and fractions of a computation reach the command that follows them."""

from __future__ import annotations

from shared.cli.output import stage_printer
from shared.progress import follow_progress, follow_stages, report_progress, report_stage


def test_stages_and_fractions_are_reported_inside_the_context_only():
    stages, fractions = [], []
    report_stage("ignored")
    with follow_stages(lambda *stage: stages.append(stage)), follow_progress(fractions.append):
        report_stage("Training")
        report_stage("Evaluating 2 of 4: baseline a", 0.25)
        report_progress(0.5)
    report_progress(1.0)
    assert stages == [("Training", None), ("Evaluating 2 of 4: baseline a", 0.25)]
    assert fractions == [0.5]


def test_a_series_of_stages_shows_the_time_left(capsys, monkeypatch):
    seconds = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr("shared.cli.output.time.monotonic", lambda: next(seconds))
    show = stage_printer()
    show("Evaluating 1 of 4: a", 0.0)
    show("Evaluating 2 of 4: b", 0.25)
    assert capsys.readouterr().out == "Evaluating 1 of 4: a …\nEvaluating 2 of 4: b … (about 90 s left)\n"
