"""Class labels as class ids or as 0 and 1 per class, and class probabilities as the outputs of a signature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.data.label_sets import is_label_sets
from shared.data.labels import list_labels, match_key
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
        splits: tables with a column `label` of strings or of sets of labels (see `shared.data.label_sets`).
        source: file or data set, for the message.
        label_option: command-line option that names the column with the label, for the message.

    Raises:
        DataError: there is only one class, almost every record has a different label, or the validation or test split has a
            label that the training split lacks.
    """
    classes = label_names(splits.train["label"])
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
        unknown = sorted(set(list_labels(getattr(splits, name)["label"])) - set(classes))
        if unknown:
            raise DataError(
                f"{source}: label {quote(unknown[0])} of the {name} split does not occur in the training split, which has "
                f"{list_names(classes)}. Drop its rows or change their label."
            )
    return classes


def label_names(labels: pd.Series) -> list[str]:
    """Returns the distinct labels of a column of labels or sets of labels, sorted."""
    return sorted(list_labels(labels).unique())


def class_targets(labels: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Returns class ids, int64 `(examples,)`; of sets of labels 1.0 for each label that a record has, float32 `(examples, classes)`."""
    if not is_label_sets(labels):
        return class_ids(labels, classes)
    targets = np.zeros((len(labels), len(classes)), np.float32)
    index = {name: k for k, name in enumerate(classes)}
    for row, members in enumerate(labels):
        targets[row, [index[name] for name in members]] = 1.0
    return targets


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
        labels: strings, or sets of labels, `(examples,)`.
        classes: classes of the model.
        source: file, for the message.
        matching_option: command-line option that lets labels of another spelling match, for the message.

    Raises:
        DataError: a label is not one of the classes; the message names the first such row.
    """
    names = list_labels(labels.reset_index(drop=True))
    unknown = names[~names.isin(classes)]
    if len(unknown):
        row, label = int(unknown.index[0]), unknown.iloc[0]
        is_spelling = match_key(label, "caseless") in {match_key(name, "caseless") for name in classes}
        spelling = f"Let it match with {matching_option} caseless, drop" if matching_option and is_spelling else "Drop"
        raise DataError(
            f"{source}, row {row + 1}: label {quote(label)} is not a class of the model ({list_names(classes)}). {spelling} the row or "
            "change its label."
        )
    missing = sorted(set(classes) - set(names))
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


def label_set_table(predictions: Mapping[str, Any], classes: Sequence[str]) -> pd.DataFrame:
    """Returns the predictions of a multi-label signature (see `label_set_outputs`) as columns, one row per record.

    Args:
        predictions: arrays by output name.
        classes: classes of the model.

    Returns:
        `labels`, and for each class `probability_CLASS`.
    """
    labels = [label.decode() if isinstance(label, bytes) else label for label in predictions["labels"]]
    columns = {f"probability_{name}": predictions["probabilities"][:, k] for k, name in enumerate(classes)}
    return pd.DataFrame({"labels": np.array(labels, object)} | columns)


def label_set_outputs(probabilities: Any, classes: Sequence[str], thresholds: Any, separator: str) -> dict[str, Any]:
    """Returns the outputs of a multi-label signature.

    Args:
        probabilities: float32 tensor `(batch, classes)`, each in [0, 1].
        classes: names of the classes; none contains `separator`.
        thresholds: probability of each class from which it is predicted, float `(classes,)`.
        separator: text between two labels.

    Returns:
        `labels`, the predicted classes joined by `separator`, strings `(batch,)`, "" for none; `has_label`, bool `(batch, classes)`,
        True for the predicted classes; and the `probabilities`.
    """
    import tensorflow as tf

    has_label = probabilities >= tf.constant(thresholds, tf.float32)
    parts = tf.where(has_label, tf.constant([separator + name for name in classes]), "")
    joined = tf.strings.reduce_join(parts, axis=1)
    labels = tf.strings.regex_replace(joined, f"^{re.escape(separator)}", "")
    return {"labels": labels, "has_label": has_label, "probabilities": probabilities}
