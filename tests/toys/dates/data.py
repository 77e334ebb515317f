"""Dates with their ISO forms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from shared.data.sources import Origin, Splits, sha256_records
from shared.data.tables import read_table
from tests.toys.dates.config import DatesConfig

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"]
MONTHS += ["December"]
SIZES = {"train": 600, "validation": 60, "test": 60}


def make_pair(rng: np.random.Generator) -> tuple[str, str]:
    """Returns a random date, such as "3 May 1999", and its ISO form."""
    year, month, day = rng.integers(1900, 2100), rng.integers(1, 13), rng.integers(1, 29)
    return f"{day} {MONTHS[month - 1]} {year}", f"{year}-{month:02d}-{day:02d}"


def load(config: DatesConfig) -> Splits:
    """Returns splits with the columns `source` and `target`, both strings."""
    rng, pairs = np.random.default_rng(0), {}
    while len(pairs) < sum(SIZES.values()):
        source, target = make_pair(rng)
        pairs[source] = target
    frame = pd.DataFrame(list(pairs.items()), columns=["source", "target"])
    origin = Origin.of_sample("generated", sha256_records(frame), "at random")
    ends = np.cumsum(list(SIZES.values()))
    parts = np.split(np.arange(len(frame)), ends[:-1])
    return Splits(*(frame.iloc[part].reset_index(drop=True) for part in parts), origin=origin)


def read_records(config: DatesConfig, source: str) -> pd.DataFrame:
    """Reads a table of dates and their ISO forms."""
    return read_table(source, [config.columns.source, config.columns.target])
