"""The test split of a trained task as a file of the user: a table, or recordings with a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

OTHER_FIELDS = {"fraud": {"fraud": "label"}, "stock": {"day": "time"}}
"""By task: columns of the splits whose option `--columns` has another name."""
ROW_COLUMNS = {"stock": ["ticker", "last_date", "last_close"]}
"""By task: the first columns of the output of a task that does not predict every row by default, instead of those of the input."""


def write_test_split(trained: Any, folder: Path) -> str:
    """Writes the test split with the columns that the model was trained on, and returns the path of the file."""
    frame = trained.run.splits.test
    if "cache_file" in frame:
        frame = _write_recordings(frame, folder)
    columns, names = trained.config.columns, {}
    for name in frame.columns:
        field = OTHER_FIELDS.get(trained.task.name, {}).get(name, name)
        column = getattr(columns, field, None)
        if column:
            names[name] = column[0] if isinstance(column, tuple) else column
    path = folder / "test.parquet"
    frame[list(names)].rename(columns=names).to_parquet(path)
    return str(path)


def _write_recordings(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    import soundfile

    from tasks.speech import audio
    from tasks.speech.timing import SAMPLE_RATE

    names = [f"{k}.wav" for k in range(len(frame))]
    for name, row in zip(names, frame.itertuples(), strict=True):
        samples = audio.open_cache(row.cache_file)[row.start : row.start + row.length]
        soundfile.write(folder / name, samples, SAMPLE_RATE, subtype="PCM_16")
    return pd.DataFrame({"file": names, "text": frame["text"], "speaker": frame["speaker"]})
