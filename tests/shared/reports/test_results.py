"""Published tables equal `results.json`; the scores of a run are published under its command; seeds are averaged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from shared.cli import main
from shared.errors import SuiteError
from shared.evaluation.classification import CLASSIFICATION_METRICS
from shared.reports import results
from tasks.stock.scores import METRICS

COMMAND = "lstm-suite train sentiment --data imdb/train.csv.xz"


def row(model: str, metric: str, value: float | None, seed: int = 1, **others: Any) -> dict[str, Any]:
    spread = 0.0 if value is None else 0.01
    return {
        "model": model,
        "dataset": "imdb",
        "split": "test",
        "metric": metric,
        "value": value,
        "low": None if value is None else value - spread,
        "high": None if value is None else value + spread,
        "baseline": "majority" if model == "exported" else None,
        "baseline_value": 0.5 if model == "exported" else None,
        "minutes": 2.0 + seed if model == "exported" else None,
        "seeds": [seed],
        "command": f"{COMMAND} --output elsewhere" + (f" --training.seed {seed}" if seed > 1 else ""),
        **others,
    }


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A project with one task that has a README."""
    folder = tmp_path / "tasks" / "sentiment"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(
        f"Before.\n\n    {COMMAND}\n\n<!-- table: accuracy* roc_auc -->\nold\n<!-- end table -->\nAfter.\n"
    )
    (tmp_path / "README.md").write_text("Front.\n<!-- results -->\nold\n<!-- end -->\nEnd.\n")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results.task, "list_task_names", lambda: ["sentiment"])
    return tmp_path


def exported_version(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"task": "sentiment", "results": rows}))
    return folder


def test_every_published_table_equals_results_json():
    for path, text in results.updated_documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `lstm-suite results`"


def test_a_published_command_omits_output_seed_and_default_preset():
    command = (
        "lstm-suite train x --preset default --data 'a b.csv' --output=models --training.seed 3 --training.epochs 2"
    )
    omitted = (*results.OMITTED_OPTIONS, "--training.seed")
    assert results.published_command(command, omitted) == "lstm-suite train x --data 'a b.csv' --training.epochs 2"
    assert (
        results.published_command(command)
        == "lstm-suite train x --data 'a b.csv' --training.seed 3 --training.epochs 2"
    )  # of a single run
    assert results.published_command("lstm-suite train x --preset sample") == "lstm-suite train x --preset sample"


def test_an_added_version_appears_in_its_readme_and_in_the_main_readme(checkout, capsys):
    rows = [row("exported", "accuracy", 0.9), row("exported", "roc_auc", 0.95), row("majority", "accuracy", 0.5)]
    version = exported_version(checkout / "m" / "1", rows)
    assert main(["results", "--add", str(version)]) == 0
    page = (checkout / "tasks" / "sentiment" / "README.md").read_text()
    assert page.startswith("Before.")
    assert page.endswith("After.\n")
    assert "| model | accuracy % | ROC AUC |\n" in page
    assert "| exported | **90.00 (89.00–91.00)** | 0.9500 |\n" in page
    assert "| majority | 50.00 (49.00–51.00) |  |\n" in page
    main_readme = (checkout / "README.md").read_text()
    (line,) = [
        line for line in main_readme.splitlines() if line.startswith("| [sentiment](tasks/sentiment/README.md) |")
    ]
    assert line.endswith("| imdb | accuracy 90.00 (89.00–91.00) % | 50.00 (majority) | 3 |")
    assert COMMAND not in main_readme
    assert main_readme.endswith("<!-- end -->\nEnd.\n")
    assert "Updated the tables of" in capsys.readouterr().out
    assert main(["results"]) == 0
    assert "already match results.json" in capsys.readouterr().out


def test_adding_a_command_again_replaces_its_rows_and_keeps_the_order_of_others(checkout):
    other = row("exported", "accuracy", 0.8, command="lstm-suite train sentiment --data b.csv")
    (checkout / "tasks" / "sentiment" / "results.json").write_text(json.dumps([other]))
    results.add([exported_version(checkout / "m" / "0", [row("exported", "accuracy", 0.7)])])
    third = row("exported", "accuracy", 0.6, command="lstm-suite train sentiment --data c.csv")
    rows = [*results.read("sentiment"), third]
    (checkout / "tasks" / "sentiment" / "results.json").write_text(json.dumps(rows))
    for number, value in (("1", 0.9), ("2", 0.91)):
        results.add([exported_version(checkout / "m" / number, [row("exported", "accuracy", value)])])
    assert [r["value"] for r in results.read("sentiment")] == [0.8, 0.91, 0.6]


def test_several_seeds_become_mean_and_deviation_beside_the_best_mean_of_the_baselines():
    runs = [
        [row("exported", "log_loss", a, s), row("low", "log_loss", b, s), row("high", "log_loss", c, s)]
        for s, (a, b, c) in enumerate([(0.2, 0.3, 0.29), (0.3, 0.3, 0.33), (0.4, 0.3, 0.34)], 1)
    ]
    first, *others = results.merge_runs(runs, CLASSIFICATION_METRICS)
    assert first["value"] == pytest.approx(0.3)
    assert first["high"] - first["value"] == pytest.approx(0.1)
    assert (first["seeds"], first["minutes"]) == ([1, 2, 3], 4.0)
    assert (first["baseline"], first["baseline_value"]) == ("low", 0.3)
    assert [other["baseline"] for other in others] == [None, None]
    assert first["command"] == COMMAND
    assert "0.3000 ± 0.1000" in results.score_table([first], ["log_loss*"], CLASSIFICATION_METRICS)


def test_an_undefined_score_is_not_published():
    rows = results.merge_runs(
        [[row("exported", "accuracy", 0.9), row("exported", "roc_auc", None)]], CLASSIFICATION_METRICS
    )
    assert [r["metric"] for r in rows] == ["accuracy"]


def test_a_score_without_an_interval_is_published_without_one():
    (merged,) = results.merge_runs([[row("exported", "accuracy", 0.9, low=None, high=None)]], CLASSIFICATION_METRICS)
    assert (merged["low"], merged["high"]) == (None, None)
    assert "**90.00**" in results.score_table([merged], ["accuracy*"], CLASSIFICATION_METRICS)


def test_several_metrics_can_share_a_column():
    rows = [row("exported", f"coverage_80_{days}d", value) for days, value in ((1, 0.801), (20, 0.7745))]
    rows.append(row("garch", "coverage_80_1d", 0.857))
    lines = results.score_table(rows, ["coverage_80_1d/coverage_80_20d"], METRICS).splitlines()
    assert lines[0] == "| model | coverage 80 % 1d / 20d |"
    assert lines[2:] == ["| exported | **80.1 / 77.5** |", "| garch | 85.7 /  |"]


def test_commands_that_differ_by_one_option_become_one_table_with_their_mean():
    """Commands that differ by more, or that lack the option, are not in it."""
    rows = [
        row(model, "accuracy", value, command=f"{COMMAND} --left {who} --training.epochs 2")
        for who, values in (("'*_a_*'", (0.91, 0.5)), ("b", (0.8, 0.7)))
        for model, value in zip(("exported", "nearest"), values, strict=True)
    ]
    rows.append(row("exported", "log_loss", 0.3, command=rows[0]["command"]))
    rows += [
        row("exported", "accuracy", 0.1, command=f"{COMMAND} {rest}")
        for rest in ("--left c --training.epochs 3", "--training.epochs 2")
    ]
    page = f"\n    {rows[2]['command']}\n\n<!-- cross-validation: --left accuracy -->\nold\n<!-- end cross-validation -->\nAfter"
    lines = results.update_tables(page, rows, CLASSIFICATION_METRICS).splitlines()
    assert lines[3:] == [
        "<!-- cross-validation: --left accuracy -->",
        "| `--left`, accuracy % | exported | nearest |",
        "| --- | --- | --- |",
        "| `*_a_*` | 91.00 | 50.00 |",
        "| `b` | 80.00 | 70.00 |",
        "| mean | **85.50** | **60.00** |",
        "<!-- end cross-validation -->",
        "After",
    ]
    assert results.cross_validation_commands(page, rows) == {rows[0]["command"], rows[2]["command"]}
    with pytest.raises(
        SuiteError,
        match=r"cross-validation: --right accuracy -->: results\.json has no row with accuracy .* any value of --right",
    ):
        results.update_tables(page.replace("--left acc", "--right acc"), rows, CLASSIFICATION_METRICS)
    with pytest.raises(SuiteError, match=r"--left b: nearest has no accuracy"):
        results.update_tables(page, [one for one in rows if one is not rows[3]], CLASSIFICATION_METRICS)


def test_options_of_a_command_include_all_their_values():
    command = "lstm-suite train x --units 8 4 --resume --names='a b' --last 1"
    assert results.without_options(command, ("--units", "--names")) == "lstm-suite train x --resume --last 1"
    values = [
        results.option_value(command, option) for option in ("--units", "--resume", "--names", "--last", "--other")
    ]
    assert values == ["8 4", "", "a b", "1", None]


def test_cross_validation_runs_are_not_in_the_main_readme(checkout):
    rows = [row("exported", "accuracy", 0.8 + k / 100, command=f"{COMMAND} --left {k}") for k in (1, 2)]
    page = checkout / "tasks" / "sentiment" / "README.md"
    page.write_text(
        f"    {rows[0]['command']}\n\n<!-- cross-validation: --left accuracy -->\nold\n<!-- end cross-validation -->\n"
    )
    rows.append(row("exported", "accuracy", 0.7, command=COMMAND))
    (page.parent / "results.json").write_text(json.dumps(rows))
    results.rebuild()
    assert "mean | **81.50**" in page.read_text()
    main_readme = (checkout / "README.md").read_text()
    assert "70.00" in main_readme
    assert "--left" not in main_readme


def test_runs_of_different_commands_cannot_be_published_together(checkout):
    one, same = row("exported", "accuracy", 0.9), row("exported", "accuracy", 0.8)
    other = row("exported", "accuracy", 0.8, 2, command="lstm-suite train sentiment --data b.csv")
    for second in (same, other):
        with pytest.raises(SuiteError, match=r"differ only by --training\.seed"):
            results.merge_runs([[one], [second]], CLASSIFICATION_METRICS)
    with pytest.raises(SuiteError, match=r"no metrics\.json"):
        results.add([checkout])


def test_a_table_without_scores_is_an_error_that_names_it(checkout):
    with pytest.raises(SuiteError, match=r"table: accuracy\* roc_auc -->: results\.json has no row"):
        results.rebuild()


def test_published_commands_parse():
    """Every command in `results.json` is valid: its options still exist."""
    from shared import task
    from shared.cli.parser import parse

    for name in task.list_task_names():
        for command in {r["command"] for r in results.read(name)}:
            words = shlex.split(command)
            assert words[:3] == ["lstm-suite", "train", name]
            assert parse(words[1:]).name == "train"
