"""Labels of examples as class numbers, and a classifier's probabilities as an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.errors import DataError
from shared.sources import Splits

MANY = 50  # classes, beyond which there must be five records for each


def list_classes(splits: Splits, source: str) -> list[str]:
    """Returns the classes in order: the different labels of the training split.

    Args:
        splits: with a column `label` of strings.
        source: where they come from, for the message.

    Raises:
        DataError: there is but one, or nearly every record has one of its own, or a later split has a label that training has not.
    """
    classes = sorted(splits.train["label"].unique())
    if len(classes) < 2:
        raise DataError(
            f"{source}: the training split has {len(classes)} class ({', '.join(classes)}); at least two are needed."
        )
    if len(classes) > max(MANY, len(splits.train) // 5):
        raise DataError(
            f"{source}: {len(classes)} different labels in {len(splits.train)} records. Is --label-column the right one?"
        )
    for name in ("validation", "test"):
        unknown = sorted(set(getattr(splits, name)["label"]) - set(classes))
        if unknown:
            raise DataError(
                f'{source}: label "{unknown[0]}" of the {name} split occurs nowhere in training; the labels there are '
                f"{', '.join(classes)}. Drop its rows, or relabel them."
            )
    return classes


def class_ids(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Returns the position of each label in `classes`, int64 `(examples,)`."""
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[label] for label in labels], np.int64)


def known_class_ids(labels: pd.Series, classes: Sequence[str], source: str) -> np.ndarray:
    """Returns what `class_ids` does, of labels that a file of the user's brings to a trained model.

    Raises:
        DataError: a label is none of the classes; the first row that has one is named.
    """
    unknown = ~labels.isin(classes)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(
            f'{source}, row {row + 1}: label "{labels.iloc[row]}" is not one the model was trained on '
            f"({', '.join(classes)}). Relabel the row or drop it."
        )
    return class_ids(labels.tolist(), classes)


def classification_outputs(probabilities: Any, classes: Any) -> dict[str, Any]:
    """Returns a signature's outputs: `label`, the most probable, strings `(batch,)`, its `probability` float32 `(batch,)`, and
    the `probabilities` of all labels float32 `(batch, classes)`.

    Args:
        probabilities: float32 tensor `(batch, classes)`.
        classes: string tensor `(classes,)`.
    """
    import tensorflow as tf

    return {
        "label": tf.gather(classes, tf.argmax(probabilities, axis=1)),
        "probability": tf.reduce_max(probabilities, axis=1),
        "probabilities": probabilities,
    }
