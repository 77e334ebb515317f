"""Published tables equal `results.json`; runs that differ by one option become one table with their mean."""

from __future__ import annotations

import pytest

from benchmarks import publish, results
from benchmarks import result_tables as tables
from shared.errors import SuiteError
from shared.evaluation.classification import CLASSIFICATION_METRICS
from tasks.stock.scores import METRICS
from tests.benchmarks.published import COMMAND, build_run, write_version


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project with one task that has a README."""
    folder = tmp_path / "tasks" / "sentiment"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(
        f"Before.\n\n    {COMMAND}\n\n<!-- table: accuracy* roc_auc -->\nold\n<!-- end table -->\nAfter.\n"
    )
    (tmp_path / "README.md").write_text("Front.\n<!-- results -->\nold\n<!-- end -->\nEnd.\n")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(tables.task, "list_task_names", lambda: ["sentiment"])
    return tmp_path


def test_every_published_table_equals_results_json():
    for path, text in tables.updated_documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `python -m benchmarks.publish`"


def test_an_added_version_appears_in_its_readme_and_in_the_main_readme(checkout, capsys):
    run = build_run({"exported": {"accuracy": 0.9, "roc_auc": 0.95}, "majority": {"accuracy": 0.5}})
    assert publish.main(["--add", str(write_version(checkout / "m" / "1", run))]) == 0
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
    assert publish.main([]) == 0
    assert "already match results.json" in capsys.readouterr().out


def test_several_metrics_can_share_a_column():
    run = build_run(
        {"exported": {"coverage_80_1d": 0.801, "coverage_80_20d": 0.7745}, "garch": {"coverage_80_1d": 0.857}}
    )
    lines = tables.score_table(run, ["coverage_80_1d/coverage_80_20d"], METRICS).splitlines()
    assert lines[0] == "| model | 80 % coverage 1d / 20d |"
    assert lines[2:] == ["| exported | **80.1 / 77.5** |", "| garch | 85.7 /  |"]


def test_the_deviation_of_several_seeds_and_a_missing_interval_are_written_as_such():
    several = results.merge(
        [build_run({"exported": {"log_loss": v}}, s, f"{COMMAND} --training.seed {s}") for s, v in ((1, 0.2), (2, 0.4))]
    )
    assert "0.3000 ± 0.1414" in tables.score_table(several, ["log_loss*"], CLASSIFICATION_METRICS)
    single = build_run({"exported": {"accuracy": (0.9, None, None)}})
    assert "**90.00**" in tables.score_table(single, ["accuracy*"], CLASSIFICATION_METRICS)


def test_commands_that_differ_by_one_option_become_one_table_with_their_mean():
    """Commands that differ by more, or that lack the option, are not in it."""
    runs = [
        build_run(
            {"exported": {"accuracy": exported}, "nearest": {"accuracy": nearest}},
            command=f"{COMMAND} --left {value} --training.epochs 2",
            id=f"imdb-{value}",
        )
        for value, exported, nearest in (("'*_a_*'", 0.91, 0.5), ("b", 0.8, 0.7))
    ]
    others = ("--left c --training.epochs 3", "--training.epochs 2")
    runs += [build_run({"exported": {"accuracy": 0.1}}, command=f"{COMMAND} {rest}", id=rest) for rest in others]
    page = f"\n    {runs[1].command}\n\n<!-- cross-validation: --left accuracy -->\nold\n<!-- end cross-validation -->\nAfter"
    lines = tables.update_tables(page, runs, CLASSIFICATION_METRICS).splitlines()
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
    assert tables.cross_validation_ids(page, runs) == {runs[0].id, runs[1].id}
    with pytest.raises(
        SuiteError,
        match=r"cross-validation: --right accuracy -->: results\.json has no run with accuracy .* any value of --right",
    ):
        tables.update_tables(page.replace("--left acc", "--right acc"), runs, CLASSIFICATION_METRICS)
    del runs[1].scores["nearest"]
    with pytest.raises(SuiteError, match=r"--left b: nearest has no accuracy"):
        tables.update_tables(page, runs, CLASSIFICATION_METRICS)


def test_the_main_readme_has_the_first_run_of_each_data_set_outside_cross_validations(checkout):
    runs = [
        build_run({"exported": {"accuracy": 0.8 + k / 100}}, command=f"{COMMAND} --left {k}", id=str(k)) for k in (1, 2)
    ]
    page = checkout / "tasks" / "sentiment" / "README.md"
    page.write_text(
        f"    {runs[0].command}\n\n<!-- cross-validation: --left accuracy -->\nold\n<!-- end cross-validation -->\n"
    )
    runs.append(build_run({"exported": {"accuracy": 0.7}}, id="first"))
    runs.append(build_run({"exported": {"accuracy": 0.6}}, command=f"{COMMAND} --training.epochs 3", id="second"))
    results.write("sentiment", runs)
    tables.rebuild()
    assert "mean | **81.50**" in page.read_text()
    main_readme = (checkout / "README.md").read_text()
    assert "70.00" in main_readme
    assert "60.00" not in main_readme
    assert "81.00" not in main_readme


def test_the_tables_of_a_task_without_published_runs_stay_empty(checkout):
    assert tables.rebuild() == [checkout / "README.md"]
    assert "old" in (checkout / "tasks" / "sentiment" / "README.md").read_text()


def test_a_table_without_scores_is_an_error_that_names_it(checkout):
    results.write("sentiment", [build_run({"exported": {"accuracy": 0.9}}, command="lstm-suite train sentiment")])
    with pytest.raises(SuiteError, match=r"table: accuracy\* roc_auc -->: results\.json has no run"):
        tables.rebuild()
