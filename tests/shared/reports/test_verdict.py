"""The verdict: ahead of, level with or behind the best baseline, and what to try."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.cli import task_commands
from shared.errors import BaselineError
from shared.evaluation.classification import ACCURACY
from shared.reports.verdict import verdict
from tests.shared.evaluation.scores import score


def fake_run(*scores, best_epoch=3, epochs=5, records=20_000, command="lstm-suite train x --data a.csv", dataset="a"):
    return SimpleNamespace(
        own_models=("exported",),
        command=command,
        primary_metric="accuracy",
        task=SimpleNamespace(metric=lambda name: ACCURACY),
        evaluation=SimpleNamespace(scores=scores),
        splits=SimpleNamespace(size=lambda name: records, origin=SimpleNamespace(name=dataset)),
        trained_model=SimpleNamespace(history=SimpleNamespace(epochs=[{}] * epochs, best_epoch=best_epoch)),
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "status", "words"),
    [
        (0.9, 0.88, 0.92, "ahead", "the model is ahead of the best baseline, a (90.00 (88.00–92.00) % against"),
        (0.81, 0.79, 0.83, "level", "level with the best baseline, a"),
        (0.81, 0.805, 0.83, "level", "slightly better, within the 95 % interval"),
        (0.79, 0.77, 0.81, "level", "slightly worse, within the 95 % interval"),
        (0.7, 0.68, 0.72, "behind", "the model is BEHIND the best baseline, a"),
        (0.8, 0.78, 0.82, "level", "equal, within"),
    ],
)
def test_the_model_is_compared_with_the_best_baseline(value, low, high, status, words):
    others = score("a", "accuracy", 0.8, 0.78, 0.82), score("b", "accuracy", 0.5, 0.48, 0.52)
    result = verdict(fake_run(score("exported", "accuracy", value, low, high), *others))
    assert result.status == status
    assert words in str(result)
    assert result.as_json() == {"status": status, "metric": "accuracy", "baseline": "a", "text": str(result)}
    assert bool(result.suggestions) == (status != "ahead")


def behind(**fields):
    scores = score("exported", "accuracy", 0.7, 0.68, 0.72), score("a", "accuracy", 0.8, 0.78, 0.82)
    return fake_run(*scores, **fields)


def test_suggestions_follow_from_the_run():
    assert "--training.epochs 10" in str(verdict(behind(best_epoch=5)))
    assert "only 300 training records" in str(verdict(behind(records=300)))
    assert "--preset default" in str(verdict(behind(command="lstm-suite train x --preset sample --data a.csv")))
    assert "--preset default" not in str(
        verdict(behind(command="lstm-suite train x --preset sample", dataset="sample"))
    )
    assert "--preset large" in str(verdict(behind()))


def test_the_verdict_is_undefined_without_a_baseline_or_with_an_undefined_metric():
    alone = verdict(fake_run(score("exported", "accuracy", 0.9)))
    assert (alone.status, alone.baseline) == ("undefined", None)
    assert "no baseline" in alone.sentence
    missing = verdict(fake_run(score("exported", "accuracy", float("nan")), score("a", "accuracy", 0.8)))
    assert missing.status == "undefined"
    assert missing.sentence.startswith("The accuracy of the model is not defined")


def test_a_model_behind_its_baseline_ends_with_status_3_if_the_baseline_is_required():
    with pytest.raises(BaselineError, match="--require-baseline: By accuracy, the model is BEHIND"):
        task_commands.require_baseline(behind())
    assert BaselineError.EXIT_STATUS == 3
    good = score("exported", "accuracy", 0.9, 0.88, 0.92), score("a", "accuracy", 0.8, 0.78, 0.82)
    task_commands.require_baseline(fake_run(*good))
