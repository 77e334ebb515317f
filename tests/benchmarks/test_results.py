"""`results.json` has one object per run; the scores of a run are published under its command; seeds are averaged."""

from __future__ import annotations

import shlex

import pytest

from benchmarks import results
from shared.errors import SuiteError
from tests.benchmarks.published import COMMAND, build_run, write_version


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "tasks" / "sentiment"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("A task.\n")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    return tmp_path


def test_a_published_command_omits_output_seed_and_default_preset():
    command = (
        "lstm-suite train x --preset default --data 'a b.csv' --output=models --training.seed 3 --training.epochs 2"
    )
    omitted = (*results.OMITTED_OPTIONS, "--training.seed")
    assert results.published_command(command, omitted) == "lstm-suite train x --data 'a b.csv' --training.epochs 2"
    single = results.published_command(command)
    assert single == "lstm-suite train x --data 'a b.csv' --training.seed 3 --training.epochs 2"
    assert results.published_command("lstm-suite train x --preset sample") == "lstm-suite train x --preset sample"


def test_options_of_a_command_include_all_their_values():
    command = "lstm-suite train x --units 8 4 --resume --names='a b' --last 1"
    assert results.without_options(command, ("--units", "--names")) == "lstm-suite train x --resume --last 1"
    values = [
        results.option_value(command, option) for option in ("--units", "--resume", "--names", "--last", "--other")
    ]
    assert values == ["8 4", "", "a b", "1", None]


def test_a_written_file_is_read_as_it_was(checkout):
    run = build_run({"exported": {"accuracy": (0.9, None, None), "log_loss": 0.3}, "majority": {"accuracy": 0.5}})
    results.write("sentiment", [run])
    (again,) = results.read("sentiment")
    assert again.scores == {
        "exported": {"accuracy": [0.9, None, None], "log_loss": [0.3, 0.29, 0.31]},
        "majority": {"accuracy": [0.5, 0.49, 0.51]},
    }
    assert (again.command, again.seeds, again.own_models) == (run.command, [1], ["exported"])
    text = (checkout / "tasks" / "sentiment" / "results.json").read_text()
    assert '    "accuracy": [0.9, null, null],\n' in text


def test_a_run_replaces_the_run_of_its_command_and_keeps_id_and_position(checkout):
    first, last = (
        build_run({"exported": {"accuracy": 0.8}}, command=f"{COMMAND} --text.sequence-length {k}", id=f"imdb-{k}")
        for k in (1, 3)
    )
    middle = build_run({"exported": {"accuracy": 0.7}}, id="imdb-2")
    results.write("sentiment", [first, middle, last])
    assert results.add([write_version(checkout / "m", build_run({"exported": {"accuracy": 0.9}}))]) == "sentiment"
    runs = results.read("sentiment")
    assert [run.id for run in runs] == ["imdb-1", "imdb-2", "imdb-3"]
    assert [run.list_scores("accuracy")[0].value for run in runs] == [0.8, 0.9, 0.8]


def test_a_new_command_gets_a_new_id(checkout):
    results.write("sentiment", [build_run({"exported": {"accuracy": 0.8}})])
    other = build_run({"exported": {"accuracy": 0.9}}, command="lstm-suite train sentiment --data b.csv")
    results.add([write_version(checkout / "m", other)])
    assert [run.id for run in results.read("sentiment")] == ["imdb-1", "imdb-2"]


def test_several_seeds_become_mean_and_deviation():
    runs = [
        build_run({"exported": {"log_loss": a}, "low": {"log_loss": 0.3}}, seed, f"{COMMAND} --training.seed {seed}")
        for seed, a in enumerate((0.2, 0.3, 0.4), 1)
    ]
    merged = results.merge(runs)
    assert merged.scores["exported"]["log_loss"] == pytest.approx((0.3, 0.2, 0.4))
    assert merged.scores["low"]["log_loss"] == pytest.approx((0.3, 0.3, 0.3))
    assert (merged.seeds, merged.minutes, merged.command) == ([1, 2, 3], 4.0, COMMAND)


def test_an_undefined_score_is_not_published(checkout):
    run = build_run({"exported": {"accuracy": 0.9}})
    results.add([write_version(checkout / "m", run, undefined=("roc_auc",))])
    assert list(results.read("sentiment")[0].scores["exported"]) == ["accuracy"]


def test_runs_of_different_commands_cannot_be_published_together(checkout):
    one, same = (build_run({"exported": {"accuracy": value}}) for value in (0.9, 0.8))
    other = build_run({"exported": {"accuracy": 0.8}}, 2, "lstm-suite train sentiment --data b.csv")
    for second in (same, other):
        with pytest.raises(SuiteError, match=r"differ only by --training\.seed"):
            results.merge([one, second])
    with pytest.raises(SuiteError, match=r"no metrics\.json"):
        results.add([checkout])


def test_published_commands_parse():
    """Every command in `results.json` is valid: its options still exist."""
    from shared import task
    from shared.cli.parser import parse

    for name in task.list_task_names():
        for run in results.read(name):
            words = shlex.split(run.command)
            assert words[:3] == ["lstm-suite", "train", name]
            assert parse(words[1:]).name == "train"
