"""The command `state`: it keeps the states of a model between calls in a state store (see `shared.state`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.cli.loading import load_task_modules
from shared.cli.output import print_json
from shared.cli.task_commands import find_chosen_version, parse_for_version, require_input_file, task_folder
from shared.cli.terminal import print_line
from shared.errors import SuiteError
from shared.export.versions import load_metadata

ACTIONS = {
    "update": "add the records of a file to the states; the same records again change nothing",
    "label": "add labels that became known after their records; a label of the same record replaces the earlier one",
    "show": "describe the content of the store",
}
STORE_FILE = "states.sqlite"
"""Name of the default store in the folder of the task's models."""


def parse_state(name: str, words: Sequence[str]) -> Callable[[], None]:
    """Returns a function that runs `lstm-suite state NAME ACTION`.

    Raises:
        SuiteError: the task has no states, or there is no such action.
        SystemExit: help was requested (status 0).
    """
    from shared import task

    if not task.has_state(name):
        raise SuiteError(f"state: the task {name} keeps no states between calls.")
    action, *option_words = words or [""]
    if action in ACTIONS:
        return _parse_action(name, action, option_words)
    if action in ("-h", "--help"):
        sys.stdout.write(_help(name))
        raise SystemExit(0)
    received = f" Received: {action}." if action else ""
    raise SuiteError(f"state: name an action: {', '.join(ACTIONS)}.{received} See lstm-suite state {name} --help.")


def _parse_action(name: str, action: str, words: Sequence[str]) -> Callable[[], None]:
    from shared.cli import options

    has_data = action != "show"
    command_options = {**options.VERSION_OPTIONS, "store": options.STORE}
    if not has_data:
        del command_options["version"]
    if has_data:
        command_options["on_error"] = options.ON_ERROR
    if action == "update":
        command_options["rebuild"] = options.REBUILD
    config, chosen = parse_for_version(
        "state", name, words, f" {action}", command_options=command_options, has_data=has_data
    )
    if has_data and not config.data:
        raise SuiteError(f"state {action}: no data. Name a file with --data.")
    place = chosen["store"] or str(task_folder(chosen["models"], name) / STORE_FILE)
    if not has_data:
        return lambda: _show(name, place, chosen["json"])

    def run() -> None:
        version = find_chosen_version(name, chosen)
        require_input_file(f"state {action}", config.data)
        from shared import task
        from shared.state import open_store
        from shared.state.store import StateOptions

        state_options = StateOptions(chosen["on_error"] == "skip", chosen.get("rebuild", False))
        readers = task.load_readers(name)
        assert readers.read_state is not None
        records = readers.read_state(config, load_metadata(version), state_options)
        loaded = load_task_modules(name)
        from shared import workflow

        store = open_store(place, name, create=True)
        changes = workflow.update_state(loaded, action, records, version, store, state_options)
        store.close()
        _print_values(place, changes, chosen["json"])

    return run


def _show(name: str, place: str, as_json: bool) -> None:
    from shared.state import open_store

    store = open_store(place, name, read_only=True)
    loaded = load_task_modules(name)
    assert loaded.state is not None
    _print_values(place, loaded.state.show(store), as_json)


def _print_values(place: str, values: Mapping[str, Any], as_json: bool) -> None:
    from shared.state.store import public_place

    if as_json:
        print_json({"store": public_place(place), **{name.replace(" ", "_"): value for name, value in values.items()}})
        return
    print_line(f"State store {public_place(place)}:")
    for name, value in values.items():
        text = f"{value:,}" if isinstance(value, int) else ", ".join(value) if isinstance(value, list) else str(value)
        print_line(f"  {name}: {text or 'none'}")


def _help(name: str) -> str:
    width = max(map(len, ACTIONS))
    actions = "\n".join(f"  {action:{width}}  {text}" for action, text in ACTIONS.items())
    return (
        f"usage: lstm-suite state {name} ACTION [OPTIONS]\n\nKeep the states of a model in a store.\n\nactions:\n{actions}\n\n"
        f"`lstm-suite state {name} ACTION --help` shows the options of an action.\n"
    )
