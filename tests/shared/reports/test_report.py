"""The report: a card of one page with a verdict, a self-contained HTML page, and rows beside the best baseline."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pytest

from shared.data.notices import collect_notices
from shared.reports import report
from shared.reports.run import machine
from shared.reports.verdict import verdict

MAX_CARD_CHARACTERS = 6_000


def test_the_machine_is_described_without_its_name():
    import platform

    assert "cores" in machine()
    assert platform.node() not in machine() or not platform.node()


def test_a_second_recalibration_replaces_the_note_of_the_first(trained, tmp_path):
    for name in ("card.md", "report.html", "metrics.json"):
        shutil.copyfile(trained.version / name, tmp_path / name)
    report.add_recalibration_note(tmp_path, "Recalibrated on <a> (x: 1).")
    report.add_recalibration_note(tmp_path, "Recalibrated on <b> (x: 2).")
    for name, note in (("card.md", "Recalibrated on <b>"), ("report.html", "Recalibrated on &lt;b&gt;")):
        text = (tmp_path / name).read_text()
        assert text.count("Recalibrated on") == text.count(note) == 1
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["recalibrated"] == "Recalibrated on <b> (x: 2)."
    assert metrics["results"] == json.loads((trained.version / "metrics.json").read_text())["results"]


def test_the_card_is_one_page_without_the_arrays_of_a_request(trained):
    card = (trained.version / "card.md").read_text()
    assert len(card) < MAX_CARD_CHARACTERS
    assert max(map(len, card.splitlines())) < 1_000
    assert "curl -d @request.json" in card
    assert card.splitlines()[2] == f"**{verdict(trained.run)}**"


def test_the_html_report_is_complete_and_needs_no_network(trained):
    page = (trained.version / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert page.count('<img src="data:image/png;base64,') == len(list((trained.version / "plots").glob("*.png")))
    for name in {s.model for s in trained.run.evaluation.scores}:
        assert f">{name}<" in page
    for note in trained.run.notes:
        assert str(note) in page


@pytest.mark.only_task("sentiment")
def test_a_plot_that_fails_is_a_notice_and_the_report_is_complete(trained, tmp_path):
    def fail(path):
        path.write_bytes(b"half")
        raise MemoryError("too large")

    description = dataclasses.replace(trained.run.evaluation.description, plots={"confusion.png": fail})
    run = dataclasses.replace(
        trained.run, evaluation=dataclasses.replace(trained.run.evaluation, description=description)
    )
    spec = trained.task.export_spec(run.trained_model.model, run.trained_model.metadata)
    with collect_notices() as notices:
        report.write(run, spec, tmp_path, tmp_path)
    message = "The plot confusion.png is missing: MemoryError: too large"
    assert [notice.message for notice in notices] == [message]
    assert message in json.loads((tmp_path / "metrics.json").read_text())["data"]["notices"]
    assert message in (tmp_path / "card.md").read_text()
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["learning_curve.png"]


def test_metrics_hold_the_notes_and_the_settings(trained):
    metrics = json.loads((trained.version / "metrics.json").read_text())
    assert set(metrics["notes"]) == set(trained.run.notes)
    assert metrics["config"]["training"]["seed"] == trained.config.training.seed
