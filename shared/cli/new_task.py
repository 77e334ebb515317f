"""Creates the package of a new task from `shared/template/`. It trains, exports and passes the contract test without changes."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from shared.errors import SuiteError

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE, TEMPLATE_SUFFIX = ROOT / "shared" / "template", ".txt"
TASK_NAME = re.compile(r"[a-z][a-z0-9_]*")


def create(name: str, root: Path = ROOT) -> list[Path]:
    """Writes the package `tasks/NAME`.

    Args:
        name: name of the task, such as `next_word`.
        root: folder of the repository.

    Returns:
        Paths of the new files.

    Raises:
        SuiteError: the name is invalid, or the task already exists.
    """
    if not TASK_NAME.fullmatch(name) or keyword.iskeyword(name):
        raise SuiteError(
            f'new: "{name}" is not a valid task name. Use lowercase letters, digits and _, such as next_word.'
        )
    folder = root / "tasks" / name
    words = name.split("_")
    values = {
        "name": name,
        "title": " ".join(words),
        "heading": " ".join(words).capitalize(),
        "camel": "".join(word.capitalize() for word in words),
    }
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise SuiteError(f"{folder}: the task already exists. Choose another name.") from error
    paths = []
    for source in sorted(TEMPLATE.iterdir()):
        target = folder / source.name.removesuffix(TEMPLATE_SUFFIX)
        target.write_text(Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        paths.append(target)
    return paths
