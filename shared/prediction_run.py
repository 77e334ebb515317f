"""From inputs to the table that the user gets: the columns of the input, then those of the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shared.config import PredictOptions
from shared.data.notices import add_notice
from shared.progress import follow_progress
from shared.task import Inputs, Predictor, Task

ERROR_COLUMN = "error"
COLLISION_SUFFIX = "_predicted"

Progress = Callable[[int, float | None], None]
"""Function of the number of complete rows, and of the complete fraction of the source, None if it is unknown."""


def _ignore_progress(rows: int, fraction: float | None) -> None:
    pass


@dataclass(frozen=True)
class PredictedRows:
    """Rows of the user with their predictions; both tables have the same number of rows."""

    rows: pd.DataFrame
    predictions: pd.DataFrame
    error_count: int = 0
    """Number of rows that were skipped."""

    def last(self, count: int) -> PredictedRows:
        """Returns the last rows, at most `count`."""
        return PredictedRows(self.rows.tail(count), self.predictions.tail(count))

    @property
    def table(self) -> pd.DataFrame:
        """The columns of the rows, then those of the predictions."""
        return pd.concat([self.rows, self.predictions], axis=1)


def predict(
    task: Task,
    inputs: Iterable[Inputs],
    metadata: dict[str, Any],
    predictor: Predictor,
    options: PredictOptions,
    load_model: Callable[[], Any] | None = None,
    on_progress: Progress = _ignore_progress,
) -> Iterator[PredictedRows]:
    """Yields the rows of the inputs with the predictions of an exported model.

    A column of the predictions whose name is that of an input's column gets the suffix `COLLISION_SUFFIX`, and a notice says so.

    Args:
        task: the task.
        inputs: from `Readers.read_inputs` or `Readers.parse_inputs`.
        metadata: metadata of the model.
        predictor: calls `serving_default`.
        options: the task's options of `predict`.
        load_model: loads the Keras model, for `Task.explain`.
        on_progress: called with the number of complete rows and the complete fraction of the source.

    Raises:
        DataError: a record cannot be used.
    """
    model = load_model() if load_model is not None and options.needs_explanation else None
    waiting: list[Inputs] = []  # rows without any prediction, before the columns of the predictions are known
    names: list[str] | None = None
    count, fraction = 0, 0.0
    for chunk in inputs:
        if len(chunk.predicted_positions):
            with follow_progress(_chunk_follower(on_progress, count, fraction, chunk)):
                columns = _prediction_columns(task, chunk, metadata, predictor, options, model)
            names = list(columns.columns)
        elif names is None:
            waiting.append(chunk)
            continue
        else:
            columns = pd.DataFrame(columns=names)
        for earlier in waiting:
            yield _join(earlier, pd.DataFrame(columns=names), options)
        waiting.clear()
        yield _join(chunk, columns, options)
        count, fraction = count + len(chunk.rows), chunk.progress or 0.0
        on_progress(count, chunk.progress)
    for chunk in waiting:
        yield _join(chunk, pd.DataFrame(), options)


def _chunk_follower(on_progress: Progress, count: int, start: float, chunk: Inputs) -> Callable[[float], None]:
    """Returns a function from the complete fraction of a chunk that reports the progress of the whole source."""

    def follow(fraction: float) -> None:
        whole = None if chunk.progress is None else start + fraction * (chunk.progress - start)
        on_progress(count + int(fraction * len(chunk.rows)), whole)

    return follow


def _prediction_columns(
    task: Task, inputs: Inputs, metadata: dict[str, Any], predictor: Predictor, options: PredictOptions, model: Any
) -> pd.DataFrame:
    predictions = task.predict(inputs.records, metadata, predictor, options)
    columns = task.prediction_table(inputs, predictions, metadata, options)
    if options.needs_explanation and task.explain is not None:
        columns = pd.concat([columns, task.explain(inputs, model, metadata, options)], axis=1)
    if options.needs_plot and task.plot is not None:
        task.plot(inputs, predictions, metadata, options)
    return columns.apply(_shortest_floats)


def _shortest_floats(column: pd.Series) -> pd.Series:
    """Returns a float32 column as the float64 numbers with the shortest decimal notation, so that all file formats are equal."""
    if column.dtype != np.float32:
        return column
    return pd.Series([float(str(value)) for value in column.to_numpy()], column.index, np.float64)


def _join(inputs: Inputs, columns: pd.DataFrame, options: PredictOptions) -> PredictedRows:
    """Returns the predictions at their rows; the other rows are empty."""
    positions, count = inputs.predicted_positions, len(inputs.rows)
    if not np.array_equal(positions, np.arange(count)):
        columns = columns.set_axis(positions).reindex(np.arange(count))
    if options.skips_errors:
        columns = columns.assign(**{ERROR_COLUMN: [inputs.errors.get(k) for k in range(count)]})
    return PredictedRows(inputs.rows, _rename_collisions(columns, inputs.rows), len(inputs.errors))


def _rename_collisions(columns: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    existing = set(map(str, rows.columns))
    renamed: dict[str, str] = {}
    for name in columns.columns:
        new = name
        while new in existing:
            new += COLLISION_SUFFIX
        if new != name:
            renamed[name] = new
            add_notice(f'The input has a column "{name}"; the column of the predictions is called "{new}".')
        existing.add(new)
    return columns.rename(columns=renamed)
