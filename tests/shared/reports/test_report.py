"""The report: a card of one page with a verdict, a self-contained HTML page, and rows beside the best baseline."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from shared.evaluation.classification import ACCURACY
from shared.reports import report
from shared.reports.card import verdict
from shared.reports.run import machine
from tests.shared.evaluation.scores import score

MAX_CARD_CHARACTERS = 6_000


class FakeRun:
    """A run with the primary metric accuracy and the given scores."""

    own_models = ("exported",)

    def __init__(self, *scores):
        self.task = type("Task", (), {"primary_metric": "accuracy", "metric": lambda name: ACCURACY})
        self.evaluation = type("Evaluation", (), {"scores": scores})


def test_the_machine_is_described_without_its_name():
    import platform

    assert "cores" in machine()
    assert platform.node() not in machine() or not platform.node()


@pytest.mark.parametrize(
    ("value", "low", "high", "words", "is_uncertain"),
    [
        (0.9, 0.88, 0.92, "the model is better than the best baseline, a", False),
        (0.82, 0.79, 0.85, "the model is better than the best baseline, a", True),
        (0.7, 0.68, 0.72, "the model is worse than the best baseline, a", False),
        (0.8, 0.78, 0.82, "are equal", False),
    ],
)
def test_the_verdict_says_which_is_better_and_whether_it_may_be_chance(value, low, high, words, is_uncertain):
    run = FakeRun(score("exported", "accuracy", value, low, high), score("a", "accuracy", 0.8, 0.78, 0.82))
    text = verdict(run)
    assert words in text
    assert ("may be chance" in text) == is_uncertain


def test_the_verdict_says_that_there_is_no_baseline():
    assert "no baseline" in verdict(FakeRun(score("exported", "accuracy", 0.9)))


def test_the_verdict_says_that_the_metric_of_the_model_is_undefined():
    run = FakeRun(score("exported", "accuracy", float("nan")), score("a", "accuracy", 0.8))
    assert verdict(run).startswith("The accuracy of the model is not defined")


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
    assert verdict(trained.run) in card


def test_the_html_report_is_complete_and_needs_no_network(trained):
    page = (trained.version / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert page.count('<img src="data:image/png;base64,') == len(list((trained.version / "plots").glob("*.png")))
    for name in {s.model for s in trained.run.evaluation.scores}:
        assert f">{name}<" in page
    for note in trained.run.notes:
        assert str(note) in page


def test_metrics_hold_the_notes_and_the_settings(trained):
    metrics = json.loads((trained.version / "metrics.json").read_text())
    assert set(metrics["notes"]) == set(trained.run.notes)
    assert metrics["config"]["training"]["seed"] == trained.config.training.seed
