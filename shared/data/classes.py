"""Class labels as class ids, and class probabilities as the outputs of a signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.data.labels import match_key
from shared.data.notices import add_notice
from shared.data.sources import Splits
from shared.data.visible import quote, visible
from shared.errors import DataError

MANY_CLASSES = 50  # above this number, there must be at least two training records per class on average
FEW_CLASSES = 10  # above this number, not every training record may have another label
MAX_LISTED = 20  # classes in an error message


def list_classes(splits: Splits, source: str, label_option: str) -> list[str]:
    """Returns the distinct labels of the training split, sorted.

    Args:
        splits: tables with a column `label` of strings.
        source: file or data set, for the message.
        label_option: command-line option that names the column with the label, for the message.

    Raises:
        DataError: there is only one class, almost every record has a different label, or the validation or test split has a
            label that the training split lacks.
    """
    classes = sorted(splits.train["label"].unique())
    if len(classes) < 2:
        raise DataError(
            f"{source}: the training split has {len(classes)} class ({', '.join(classes)}). Give data with at least two."
        )
    if len(classes) > max(MANY_CLASSES, len(splits.train) // 2) or FEW_CLASSES < len(classes) == len(splits.train):
        raise DataError(
            f"{source}: {len(classes)} different labels in {len(splits.train)} records are too many. Check that "
            f"{label_option} names the column with the label."
        )
    for name in ("validation", "test"):
        unknown = sorted(set(getattr(splits, name)["label"]) - set(classes))
        if unknown:
            raise DataError(
                f"{source}: label {quote(unknown[0])} of the {name} split does not occur in the training split, which has "
                f"{list_names(classes)}. Drop its rows or change their label."
            )
    return classes


def list_names(classes: Sequence[str]) -> str:
    """Returns the names of classes for a message, at most `MAX_LISTED`."""
    listed = ", ".join(map(visible, classes[:MAX_LISTED]))
    return listed + (f" and {len(classes) - MAX_LISTED:,} more" if len(classes) > MAX_LISTED else "")


def class_ids(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Returns the index of each label in `classes`, int64 `(examples,)`."""
    index = {name: k for k, name in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64)


def require_known_labels(labels: pd.Series, classes: Sequence[str], source: str, matching_option: str = "") -> None:
    """Checks the labels of a user's file; a notice names classes without a record.

    Args:
        labels: strings `(examples,)`.
        classes: classes of the model.
        source: file, for the message.
        matching_option: command-line option that lets labels of another spelling match, for the message.

    Raises:
        DataError: a label is not one of the classes; the message names the first such row.
    """
    unknown = ~labels.isin(classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        label = labels.iloc[row]
        is_spelling = match_key(label, "caseless") in {match_key(name, "caseless") for name in classes}
        spelling = f"Let it match with {matching_option} caseless, drop" if matching_option and is_spelling else "Drop"
        raise DataError(
            f"{source}, row {row + 1}: label {quote(label)} is not a class of the model ({list_names(classes)}). {spelling} the row or "
            "change its label."
        )
    missing = sorted(set(classes) - set(labels))
    if missing:
        add_notice(
            f"{source}: no record has {'the label' if len(missing) == 1 else 'one of the labels'} {list_names(missing)}.",
            hint="Metrics over all classes, such as macro F1 and ROC AUC, say little, or are not defined.",
        )


def classification_table(predictions: Mapping[str, Any], classes: Sequence[str]) -> pd.DataFrame:
    """Returns the predictions of a classification signature (see `classification_outputs`) as columns, one row per record.

    Args:
        predictions: arrays by output name.
        classes: classes of the model.

    Returns:
        `label`, its `probability`, and for each class `probability_CLASS`.
    """
    labels = [label.decode() if isinstance(label, bytes) else label for label in predictions["label"]]
    table = {"label": np.array(labels, object), "probability": predictions["probability"]}
    columns = {f"probability_{name}": predictions["probabilities"][:, k] for k, name in enumerate(classes)}
    return pd.DataFrame(table | columns)


def classification_outputs(probabilities: Any, classes: Any) -> dict[str, Any]:
    """Returns the outputs of a classification signature.

    Args:
        probabilities: float32 tensor `(batch, classes)`.
        classes: string tensor `(classes,)`.

    Returns:
        `label`, the most probable class, strings `(batch,)`; its `probability`, float32 `(batch,)`; and the `probabilities` of
        all classes, float32 `(batch, classes)`.
    """
    import tensorflow as tf

    return {
        "label": tf.gather(classes, tf.argmax(probabilities, axis=1)),
        "probability": tf.reduce_max(probabilities, axis=1),
        "probabilities": probabilities,
    }
