"""Reads recordings and their texts from the user's files: manifests, folders and .zip files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files
from shared.data.columns import parse_identifiers
from shared.data.notices import add_notice
from shared.data.tables import is_table, read_table
from shared.errors import DataError
from shared.task import line_table
from tasks.speech import audio, measurements, transcripts
from tasks.speech.config import ColumnsConfig, SpeechConfig
from tasks.speech.folders import SUFFIXES, Folder, describe_unreadable

ARCHIVE_SUFFIX = ".zip"
DEFAULT_SPEAKER_COLUMN = "speaker"  # a manifest may lack this column, but not one that the user names


def read(config: SpeechConfig, source: str, alphabet: str | None = None) -> pd.DataFrame:
    """Reads the recordings of a manifest, or of a folder or .zip file with texts in files or in the file names.

    Args:
        config: columns, and how recordings and texts are read.
        source: path of the manifest, folder or .zip file.
        alphabet: characters of the model that is evaluated; None for training.

    Returns:
        Table with the columns that `tasks.speech.data.load` describes.

    Raises:
        DataError: a text or a recording is missing or cannot be read; the message names the row or the file.
    """
    path = Path(source).expanduser()
    has_rows = not is_folder_or_archive(source)
    frame = _read_manifest(config.columns, source) if has_rows else _read_folder(path, config.columns)
    folder = Folder(_recordings_of(path, config) if has_rows else path)
    places = [f"{path}, row {row}" if has_rows else f"{path}, {name}" for row, name in enumerate(frame["name"], 1)]
    names = _find_recordings(folder, frame["name"].tolist(), places, path)
    frame = frame.assign(name=names, text=[transcripts.normalize_text(text, config.text) for text in frame["text"]])
    texts = frame["text"].tolist()
    if alphabet is None:
        transcripts.add_notices(texts, names, str(path), config.text, has_rows)
    else:
        transcripts.add_notice_of_unknown_characters(texts, alphabet, str(path), has_rows)
    places = [f"{place}: {name}" if has_rows else place for place, name in zip(places, names, strict=True)]
    key = [str(folder.path.resolve()), config.audio.channel, *((name, *folder.fingerprint(name)) for name in names)]
    recordings = (folder.decode(name, place, config.audio.channel) for name, place in zip(names, places, strict=True))
    cache_file, table = audio.cache_measured(key, recordings)
    table = table.assign(name=names)
    measurements.add_notices(table, str(path), has_rows)
    return add_places(frame, cache_file, table["length"].to_numpy()).assign(**table[list(measurements.COLUMNS)])


def list_recordings(config: SpeechConfig, source: str, skips_errors: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Returns the rows of a manifest with all columns, or else the paths of a folder or .zip file, or the lines of any other text
    file; and the path of the recording of each row.

    Texts are not needed. A recording in a .zip file has a path such as calls.zip/a.wav.

    Raises:
        DataError: the source cannot be read, lacks the column with the files, has no recording, or names one that is missing,
            unless `skips_errors` is True.
    """
    path = Path(source).expanduser()
    if is_folder_or_archive(source):
        files.require_file(path)
        paths = [str(path / name) for name in _recording_names(Folder(path))]
        return line_table(paths), paths
    if not is_table(source, config.columns.file):
        lines = [line.strip() for line in files.read_text(path).splitlines()]
        if not any(lines):
            raise DataError(f"{path}: the file has no paths. Write the path of one recording per line.")
        paths = [_find_path(line, path.parent) for line in lines if line]
        return line_table(paths), paths
    columns = config.columns
    table = read_table(source, [columns.file], options={columns.file: option(columns, "file")}, all_columns=True)
    names = parse_identifiers(table[columns.file], source)
    folder = Folder(_recordings_of(path, config))
    places = [f"{path}, row {row}" for row in range(1, len(names) + 1)]
    actual = _find_recordings(folder, list(names), places, path, skips_errors)
    return table, [str(folder.path / name) for name in actual]


def add_places(frame: pd.DataFrame, cache_file: Path, lengths: np.ndarray) -> pd.DataFrame:
    """Returns a table with the place of the samples of each recording: `cache_file`, and `start` and `length` in samples.

    Args:
        frame: one row per recording, in the order of the cached file.
        cache_file: from `tasks.speech.audio.cache_recordings`.
        lengths: number of samples of each recording, int64 `(recordings,)`.
    """
    return frame.assign(cache_file=str(cache_file), start=np.cumsum(lengths) - lengths, length=lengths)


def is_folder_or_archive(source: str) -> bool:
    """Returns whether a source is an existing folder, or has the name of a .zip file."""
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() == ARCHIVE_SUFFIX


def _find_recordings(
    folder: Folder, names: Sequence[str], places: Sequence[str], source: Path, skips_errors: bool = False
) -> list[str]:
    """Returns the recordings that names in a manifest mean; a notice counts those that are not written exactly.

    Raises:
        DataError: a recording is missing, unless `skips_errors` is True; its name then stays.
    """
    actual = [
        (folder.find(name) or name) if skips_errors else folder.require(name, place)
        for name, place in zip(names, places, strict=True)
    ]
    changed = [k for k, name in enumerate(names) if name != actual[k]]
    if changed:
        example = f"{names[changed[0]]} is {actual[changed[0]]}"
        add_notice(
            f"{source}: {len(changed):,} of {len(names):,} names are not exactly those of the recordings, for example {example}.",
            [k + 1 for k in changed],
        )
    return actual


def _find_path(line: str, folder: Path) -> str:
    """Returns a path of a list of paths, relative to the current folder, or else to the folder of the list."""
    path = folder / line
    return line if Path(line).expanduser().exists() or not path.exists() else str(path)


def _read_manifest(columns: ColumnsConfig, source: str) -> pd.DataFrame:
    options = {
        getattr(columns, name): option(columns, name)
        for name in ("speaker", "text", "file")
        if getattr(columns, name) is not None
    }
    required = [columns.file, columns.text]
    optional: list[str] = []
    if columns.speaker is not None:
        (optional if columns.speaker == DEFAULT_SPEAKER_COLUMN else required).append(columns.speaker)
    table = read_table(source, list(dict.fromkeys(required)), optional, options)
    has_speaker = columns.speaker in table.columns
    return pd.DataFrame(
        {
            "text": parse_identifiers(table[columns.text], source, allow_empty=True),
            "speaker": parse_identifiers(table[columns.speaker], source, allow_empty=True) if has_speaker else "",
            "name": parse_identifiers(table[columns.file], source),
        }
    )


def _recordings_of(manifest: Path, config: SpeechConfig) -> Path:
    """Returns the folder or .zip file with the recordings of a manifest."""
    if config.recordings:
        path = Path(config.recordings).expanduser()
        files.require_file(path)
        return path
    archive = manifest.with_name(manifest.name.split(".")[0] + ARCHIVE_SUFFIX)
    return archive if archive.is_file() else manifest.parent


def _recording_names(folder: Folder) -> list[str]:
    names, unreadable = folder.names(), folder.unreadable_names()
    if not names and unreadable:
        raise DataError(f"{folder.path}: there are no recordings that can be read. {describe_unreadable(unreadable)}")
    if not names:
        raise DataError(f"{folder.path}: there are no recordings. Their names must end in {', '.join(SUFFIXES)}.")
    if unreadable:
        add_notice(f"{folder.path}: recordings are left out: {describe_unreadable(unreadable)}")
    return names


def _read_folder(path: Path, columns: ColumnsConfig) -> pd.DataFrame:
    """Returns the texts of the recordings in a folder or .zip file: from their names, from a .txt file beside each recording, or
    from the .trans.txt files of LibriSpeech."""
    files.require_file(path)
    folder = Folder(path)
    names = _recording_names(folder)
    if columns.file_pattern:
        return pd.DataFrame([_parse_name(name, columns, path) for name in names])
    if folder.archive is not None:
        raise DataError(
            f"{path}: the texts of the recordings are unknown. Give a manifest as --data, or the meaning of the file names, such "
            f"as {option(columns, 'file_pattern')} {{text}}_{{speaker}}."
        )
    librispeech: dict[str, str] = {}
    for listing in path.rglob("*.trans.txt"):
        for line in files.read_text(listing).splitlines():
            name, _, words = line.partition(" ")
            librispeech[name] = words
    rows = []
    for name in names:
        file = path / name
        text_file = file.with_suffix(".txt")
        text = librispeech.get(file.stem)
        if text is None and text_file.is_file():
            text = files.read_text(text_file)
        if text is None:
            raise DataError(
                f"{file}: the text of the recording is unknown. Write it to {text_file.name} in the same folder, give a manifest "
                f"as --data, or the meaning of the file names, such as {option(columns, 'file_pattern')} {{text}}_{{speaker}}."
            )
        speaker = (
            file.parent.parent.name if file.stem in librispeech else ""
        )  # speaker/chapter/recording in LibriSpeech
        rows.append({"text": text, "speaker": speaker, "name": name})
    return pd.DataFrame(rows)


def _parse_name(name: str, columns: ColumnsConfig, path: Path) -> dict[str, str]:
    """Returns text and speaker from the file name of a recording, with a pattern such as {text}_{speaker}_{take}."""
    pattern = str(columns.file_pattern)
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(f"(?P<{part}>.+?)" if k % 2 else re.escape(part) for k, part in enumerate(parts))
    match = re.fullmatch(expression, Path(name).stem)
    if match is None:
        raise DataError(
            f"{path}, {name}: the file name does not match {option(columns, 'file_pattern')} {pattern}. Rename the file, or change "
            "the pattern."
        )
    values = match.groupdict()
    return {"text": values["text"], "speaker": values.get("speaker", ""), "name": name}
