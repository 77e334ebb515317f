"""Two speech corpora as one: AN4's sentences, and the Free Spoken Digit Dataset's digits, of six speakers only.

    python examples/two_corpora.py an4/train.csv fsdd/recordings.zip voices
    lstm-suite train speech --data voices/voices.csv

Writes the recordings of both into a folder, and a manifest whose texts are AN4's and the digits' names, in capitals as AN4 has
them. AN4's recordings are in train.zip beside its manifest.
"""

from __future__ import annotations

import csv
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePath

NAMES = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()


def main(manifest: str, digits: str, folder: str) -> None:
    """Writes `voices.csv` and the recordings below a folder."""
    target = Path(folder)
    names = {Path(manifest).with_suffix(".zip"): "an4", Path(digits): "fsdd"}
    for archive, name in names.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as recordings:
            for member in recordings.namelist():
                if not member.endswith("/"):
                    (target / name / PurePath(member).name).write_bytes(recordings.read(member))
    with (target / "voices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "text", "speaker"])
        writer.writerows([*_sentences(Path(manifest)), *_digits(target / "fsdd")])


def _sentences(manifest: Path) -> Iterator[tuple[str, str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield f"an4/{PurePath(row['file']).name}", row["text"], row["speaker"]


def _digits(folder: Path) -> Iterator[tuple[str, str, str]]:
    for path in sorted(folder.glob("[0-9]_*_*")):
        digit, speaker, _ = path.stem.split("_")
        yield f"fsdd/{path.name}", NAMES[int(digit)], speaker


if __name__ == "__main__":
    main(*sys.argv[1:])
