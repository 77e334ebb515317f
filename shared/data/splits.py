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


def split_by_label(
    groups: Sequence[object], labels: Sequence[str], fraction: float, seed: int = SPLIT_SEED
) -> np.ndarray:
    """Selects whole groups at random, of each label about the same fraction of the rows; one group of each label stays.

    Args:
        groups: the group of each row; a group counts for the label of its first row.
        labels: the label of each row.
        fraction: fraction of the rows to select, in (0, 1).
        seed: random seed; the same seed selects the same groups.

    Returns:
        Boolean array `(rows,)`, True where the row is selected; at least one group is selected and one is not.

    Raises:
        ValueError: no label has two groups.
    """
    rows = pd.DataFrame({"group": pd.factorize(pd.Series(list(groups)), sort=True)[0], "label": list(labels)})
    table = rows.groupby("group").agg(label=("label", "first"), size=("label", "size"))
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    strata = table.groupby("label", sort=True)["size"].agg(["sum", "size"])
    if not (strata["size"] > 1).any():
        raise ValueError("Expected a label with at least two groups to split.")
    exact = fraction * strata["sum"]
    target = np.floor(exact)
    remainder = (exact - target).where(strata["size"] > 1, -1.0)
    missing = round(float(exact.sum() - target.sum()))
    target[remainder.sort_values(ascending=False, kind="stable").index[: max(missing, 1 - int(target.sum()))]] += 1
    before = table.groupby("label")["size"].cumsum() - table["size"]
    is_last = table.groupby("label").cumcount() == table["label"].map(strata["size"]) - 1
    is_selected = (before < table["label"].map(target)) & ~is_last
    return np.isin(rows["group"], table.index[is_selected])


def split_by_label_sets(
    groups: Sequence[object], label_sets: Sequence[tuple[str, ...]], fraction: float, seed: int = SPLIT_SEED
) -> np.ndarray:
    """Selects whole groups at random, of each label about the same fraction, by iterative stratification (Sechidis et al., 2011).

    The rarest label is divided first. One group of each label stays, and groups without labels are divided like those of a label.

    Args:
        groups: the group of each row; a group has the labels of all its rows.
        label_sets: the labels of each row.
        fraction: fraction of the rows to select, in (0, 1).
        seed: random seed; the same seed selects the same groups.

    Returns:
        Boolean array `(rows,)`, True where the row is selected; at least one group is selected and one is not.

    Raises:
        ValueError: no label has two groups.
    """
    codes = pd.factorize(pd.Series(list(groups)), sort=True)[0]
    labels_of: list[set[str]] = [set() for _ in range(codes.max() + 1)]
    for code, labels in zip(codes, label_sets, strict=True):
        labels_of[code].update(labels)
    members: dict[str, list[int]] = {}
    for group in np.random.default_rng(seed).permutation(len(labels_of)).tolist():
        labels_of[group] = labels_of[group] or {""}
        for label in labels_of[group]:
            members.setdefault(label, []).append(group)
    is_selected = _stratify(labels_of, members, fraction)
    if not is_selected.any() or is_selected.all():
        raise ValueError("Expected a label with at least two groups to split.")
    return is_selected[codes]


def _stratify(labels_of: Sequence[set[str]], members: Mapping[str, Sequence[int]], fraction: float) -> np.ndarray:
    """Returns which groups are selected, boolean `(groups,)`.

    Args:
        labels_of: labels of each group.
        members: groups of each label, in random order.
        fraction: as in `split_by_label_sets`.
    """
    open_groups = {label: len(groups) for label, groups in members.items()}
    missing = {label: [(1 - fraction) * len(groups), fraction * len(groups)] for label, groups in members.items()}
    is_assigned, is_selected = np.zeros((2, len(labels_of)), bool)
    has_remaining: set[str] = set()
    while open_groups:
        label = min(open_groups, key=lambda name: (open_groups[name], name))
        for group in members[label]:
            if is_assigned[group]:
                continue
            labels = labels_of[group]
            is_last = any(open_groups[one] == 1 and one not in has_remaining for one in labels)
            is_assigned[group], is_selected[group] = True, missing[label][1] > missing[label][0] and not is_last
            for one in labels:
                open_groups[one] -= 1
                missing[one][int(is_selected[group])] -= 1
            if not is_selected[group]:
                has_remaining |= labels
        del open_groups[label]
    return is_selected


def keep_labels(
    is_selected: np.ndarray, groups: Sequence[object], labels: Sequence[str] | Sequence[tuple[str, ...]]
) -> np.ndarray:
    """Returns a selection without the groups that the remaining rows need, so that they have every label.

    Args:
        is_selected: boolean array `(rows,)`, True where a row is held out.
        groups: the group of each row; whole groups are selected.
        labels: the label, or the labels, of each row.
    """
    column = pd.Series(list(groups))
    rows = pd.DataFrame({"group": column, "label": pd.Series(list(labels), dtype=object)}).explode("label").dropna()
    result = pd.Series(is_selected)
    for label in sorted(set(rows["label"]) - set(rows["label"][~result[rows.index].to_numpy()])):
        if label in set(rows["label"][~result[rows.index].to_numpy()]):  # an earlier group brought it back
            continue
        result &= column != rows["group"][rows["label"] == label].iloc[0]
    return result.to_numpy()
