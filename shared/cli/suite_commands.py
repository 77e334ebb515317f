"""The commands that do not depend on the options of a task: list, export, serve-config, demo, new."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from shared.cli.loading import load_task_modules, program_name
from shared.cli.output import print_json, print_run, progress_on_stderr
from shared.cli.terminal import print_error, print_line, print_table, suppress_native_stderr
from shared.export.versions import find_version, list_versions

DEMO_FOLDER = "saved_models/demo"
MAX_DEMO_PREDICTIONS = 5
FILE_DESCRIPTIONS = {
    "__init__.py": "marks the folder as a package",
    "config.py": "options and presets; each field is an option",
    "data.py": "reading of records from any source into three splits",
    "inputs.py": "reads files for an exported model, without TensorFlow",
    "sample.py": "the embedded sample",
    "model.py": "the model, made of stock Keras layers",
    "evaluate.py": "metrics and baselines",
    "train.py": "training, and the record of the task",
    "serving.py": "signatures, and the conversion of inputs to requests",
    "README.md": "documentation",
}


def list_tasks(arguments: argparse.Namespace) -> None:
    """Prints the tasks with their presets and newest versions."""
    from shared import task

    rows = []
    for name in task.list_task_names():
        versions = list_versions(Path(arguments.models).expanduser() / name)
        newest = int(versions[-1].name) if versions else None
        rows.append((name, task.load_summary(name), list(task.load_presets(name)), newest))
    header = ["task", "description", "presets", "newest version"]
    if arguments.json:
        print_json([dict(zip(("task", "description", "presets", "newest_version"), row, strict=True)) for row in rows])
        return
    cells = [[name, summary, " ".join(presets), str(version or "none yet")] for name, summary, presets, version in rows]
    print_table(header, cells)
    program = program_name()
    print_line(f"Next: {program} train TASK --preset sample, or {program} train TASK --help for all options.")


def export_again(arguments: argparse.Namespace) -> None:
    """Exports the Keras model of a version, or of a file, as a new version."""
    loaded = load_task_modules(arguments.task)
    from shared import workflow

    folder = Path(arguments.models).expanduser() / arguments.task
    source = arguments.keras_file or find_version(folder, arguments.version) / "model.keras"
    version = workflow.re_export(loaded, source, folder)
    print_line(f"Exported {version}")


def write_serving_files(arguments: argparse.Namespace) -> None:
    """Writes the configuration files for TensorFlow Serving and its surroundings."""
    with suppress_native_stderr():
        from shared.serving import configs
        from shared.serving.model_folders import locate_models

    models, notice = locate_models(Path(arguments.models).expanduser())
    if notice:
        print_error(f"lstm-suite: notice: {notice}")
    output = Path(arguments.output).expanduser()
    for path in configs.write(models, output, arguments.image, arguments.engine):
        print_line(f"Wrote {path}")
    print_line(f"Next: docker compose -f {arguments.output}/compose.yaml up")


def run_demo(arguments: argparse.Namespace) -> None:
    """Trains every task on its embedded sample and prints predictions."""
    from shared import task

    if not arguments.json:
        print_line(
            "Training every task on its embedded sample. This shows how the suite works; the scores are not results."
        )
    finished = []
    for name in task.list_task_names():
        loaded = load_task_modules(name)
        from shared import workflow
        from shared.cli import predictions
        from shared.data.table_writers import json_rows

        config = dataclasses.replace(task.load_presets(name)["sample"], output=arguments.output)
        command = f"lstm-suite train {name} --preset sample --output {arguments.output}"
        with progress_on_stderr(arguments.json):
            version, run = workflow.train(loaded, config, command)
        print_run(run, version, as_json=arguments.json)
        predicted = workflow.predict_lines(loaded, version, loaded.example_inputs).last(MAX_DEMO_PREDICTIONS)
        if arguments.json:
            print_json({"task": name, "version": str(version), "predictions": list(json_rows(predicted.table))})
        else:
            predictions.print_tables([predicted], f"{name}: predictions of {version}")
        finished.append(name)
    if not arguments.json:
        _print_next_steps(finished, arguments.output)


def _print_next_steps(names: list[str], output: str) -> None:
    print_line("\nNext:")
    for name in names:
        print_line(f"  {program_name()} predict {name} --models {output} …     more predictions")
        print_line(
            f"  {program_name()} train {name} --data FILE …     train on your own data; --help shows every option"
        )
    print_line("Each tasks/TASK/README.md shows the commands for real data sets.")


def create_task(arguments: argparse.Namespace) -> None:
    """Creates the folder of a new task from the template."""
    from shared.cli import new_task

    for path in new_task.create(arguments.name):
        print_line(f"{path.relative_to(new_task.ROOT)}: {FILE_DESCRIPTIONS[path.name]}")
    print_line(f"Next: {program_name()} train {arguments.name} --preset sample; then adapt these files to your task.")
    print_line("The contract test includes the new task automatically: python -m pytest tests/contract")
