"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.config import PredictOptions
from shared.errors import DataError
from shared.task import Inputs, Readers, line_table
from tasks.speech import folders, measurements, user_files
from tasks.speech.config import SpeechConfig

RECORDINGS_PER_CHUNK = 128
"""Recordings of a file that are in memory at once."""


def read_inputs(
    config: SpeechConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads recordings for `predict`; texts are not needed (see `tasks.speech.user_files.list_recordings`).

    Raises:
        DataError: the source or a recording cannot be used.
    """
    rows, paths = user_files.list_recordings(config, source, options.skips_errors)
    for start in range(0, len(paths), RECORDINGS_PER_CHUNK):
        end = min(start + RECORDINGS_PER_CHUNK, len(paths))
        chunk = rows.iloc[start:end].reset_index(drop=True)
        progress = end / len(paths)
        yield _read_recordings(chunk, paths[start:end], source, options, config.audio.channel, start, progress)


def parse_inputs(
    config: SpeechConfig, lines: Sequence[str], metadata: dict[str, Any], options: PredictOptions
) -> Inputs:
    """Reads the recordings with these paths.

    Raises:
        DataError: a recording is missing or cannot be read.
    """
    return _read_recordings(line_table(lines), lines, "input", options, config.audio.channel)


def _read_recordings(
    rows: pd.DataFrame,
    paths: Sequence[str],
    source: str,
    options: PredictOptions,
    channel: str,
    first_row: int = 0,
    progress: float = 1.0,
) -> Inputs:
    recordings, measured, positions, errors = [], [], [], dict[int, str]()
    for k, path in enumerate(paths):
        try:
            blocks, measurement = folders.open_path(path, channel)
            recordings.append(blocks)
            measured.append(measurement)
            positions.append(k)
        except DataError as error:
            if not options.skips_errors:
                raise DataError(f"{source}, row {first_row + k + 1}: {error}") from error
            errors[k] = str(error)
    measurements.add_notices_of_losses(measured, [paths[k] for k in positions], source)
    return Inputs(rows, recordings, np.array(positions, np.int64), errors, progress)


def read_records(config: SpeechConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a manifest, or a folder or .zip file of recordings with texts, into the form of the test split.

    Raises:
        DataError: the source cannot be used.
    """
    return user_files.read(config, source, metadata["alphabet"])


READERS = Readers(read_inputs, read_records, parse_inputs)
