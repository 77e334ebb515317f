"""A sixth task: a folder with every file that a task has, which trains, exports and keeps the suite's promises as it stands."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from shared.errors import SuiteError

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE, ENDING = Path(__file__).parent / "template", ".txt"
NAME = re.compile(r"[a-z][a-z0-9_]*")


def create(name: str, root: Path = ROOT) -> list[Path]:
    """Writes the folder `tasks/NAME`.

    Args:
        name: of the task, such as `next_word`.
        root: of the checkout.

    Returns:
        The files.

    Raises:
        SuiteError: the name is none, or there is such a task.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise SuiteError(f'new: "{name}" is no name of a task. Take small letters, digits and _, such as next_word.')
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
        raise SuiteError(f"{folder}: is there already. Take another name.") from error
    written = []
    for source in sorted(TEMPLATE.iterdir()):
        target = folder / source.name.removesuffix(ENDING)
        target.write_text(Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        written.append(target)
    return written
