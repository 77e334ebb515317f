"""Training, validation and test split: whole groups at random, and the splits that a source lacks held out from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from shared.config import SplitConfig, SplitFilesConfig
from shared.data.sources import file_name, split_files
from shared.errors import DataError

SPLITS = ("train", "validation", "test")
SPLIT_SEED = 1
"""Independent of the training seed, so that runs with several seeds have the same test split."""
MIN_GROUPS = 2

Selection = tuple[np.ndarray, str]
"""Boolean array `(rows,)`, True where a row is held out; and the description of the selection, such as "20% held out at random"."""


def hold_out(
    frames: Mapping[str, pd.DataFrame],
    config: SplitFilesConfig,
    split: SplitConfig,
    select: Callable[[pd.DataFrame, str, float], Selection],
    records: str,
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Moves records of the training split to the test and then to the validation split, where the source has none.

    Args:
        frames: table by split name: "train", and "validation" and "test" where the source has them.
        config: source of the data, and of the splits with their own files.
        split: fractions of the test and the validation split.
        select: function from the training table, the name of a split and its fraction to the records to hold out.
        records: noun for the records in the error message.

    Returns:
        Tables of the three splits, their rows numbered from 0; and the description of the validation and the test split by name, first
        of those that the source has.

    Raises:
        DataError: there are too few records: `select` holds out none or all, or raises a ValueError.
    """
    result = {name: frames[name] for name in SPLITS if name in frames}
    paths = split_files(config)
    descriptions = {
        name: f"{name} from {file_name(paths[name])}" if name in paths else f"{name} split of the data set"
        for name in result
        if name != "train"
    }
    for name, fraction in (("test", split.test_fraction), ("validation", split.validation_fraction)):
        if name in result:
            continue
        problem = (
            f"{config.data}: there are too few {records} for a {name} split. Add {records}, or give --{name}-data with a "
            "file for it."
        )
        train = result["train"]
        try:
            is_held_out, description = select(train, name, fraction)
        except ValueError as error:
            raise DataError(problem) from error
        if is_held_out.all() or not is_held_out.any():
            raise DataError(problem)
        result["train"], result[name] = train[~is_held_out], train[is_held_out]
        descriptions[name] = f"{name} {description}"
    return {name: result[name].reset_index(drop=True) for name in SPLITS}, descriptions


def split_by_group(groups: Sequence[object], fraction: float, seed: int = SPLIT_SEED) -> np.ndarray:
    """Selects whole groups at random until they contain about `fraction` of the rows.

    Args:
        groups: the group of each row, such as the film of a review; different values for all rows give a random split.
        fraction: fraction of the rows to select, in (0, 1).
        seed: random seed; the same seed selects the same groups.

    Returns:
        Boolean array `(rows,)`, True where the row is selected; at least one group is selected and one is not.

    Raises:
        ValueError: there are fewer than two groups.
    """
    codes, unique = pd.factorize(pd.Series(list(groups)), sort=True)
    if len(unique) < MIN_GROUPS:
        raise ValueError(f"Expected at least two groups to split. Received: {len(unique)}")
    order = np.random.default_rng(seed).permutation(len(unique))
    rows = np.cumsum(np.bincount(codes, minlength=len(unique))[order])
    count = int(np.clip(np.searchsorted(rows, fraction * len(codes)) + 1, 1, len(unique) - 1))
    return np.isin(codes, order[:count])
