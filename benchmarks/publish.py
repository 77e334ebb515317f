"""Publishes scores: adds exported versions to `results.json` and updates the tables of the documents, in a checkout of the project.

python -m benchmarks.publish --add saved_models/sentiment/1
python -m benchmarks.publish --add saved_models/stock/1 saved_models/stock/2 saved_models/stock/3    # mean of the seeds
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import result_tables, results
from shared.errors import SuiteError


def main(arguments: Sequence[str] | None = None) -> int:
    """Publishes the versions that the arguments name, and returns the exit status.

    Args:
        arguments: words after the name of the module; None takes those of this process.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description="Publish scores.")
    parser.add_argument(
        "--add",
        nargs="+",
        type=Path,
        default=[],
        metavar="VERSION",
        help="exported version whose scores to publish; the mean of several versions that differ by their seed",
    )
    versions = parser.parse_args(arguments).add
    try:
        if versions:
            print(f"Updated tasks/{results.add(versions)}/results.json")
        changed = result_tables.rebuild()
    except SuiteError as error:
        print(error, file=sys.stderr)
        return 2
    for path in changed:
        print(f"Updated the tables of {path.relative_to(results.ROOT)}")
    if not changed:
        print("All tables already match results.json.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
