"""Further training: a model begins with the weights of one that was trained on other recordings."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from shared import keras_file, workflow
from shared.errors import DataError
from tasks.speech.model import Submodels, get_submodels

SYMBOLS, MEL = "symbols", "mel"


def begin_with(model: keras.Model, alphabet: str, version: Path) -> None:
    """Gives a model the weights of an exported version, and to each character those that it had there; a character that is new
    keeps its own.

    Args:
        model: from `tasks.speech.model.SubmodelBuilder.whole`.
        alphabet: its characters by number, from 1.
        version: a folder that `lstm-suite train speech` exported, of the same bands and sizes.

    Raises:
        ExportError: it is no exported version.
        DataError: it is of another task, or was trained with other bands or sizes.
    """
    metadata = workflow.load_metadata(version)
    if metadata.get("task") != "speech":
        raise DataError(f"{version}: is a model of {metadata.get('task')}. Name a version of speech.")
    mine, theirs = get_submodels(model), get_submodels(keras_file.load(version / "model.keras"))
    if not _same_bands(mine, theirs):
        raise DataError(
            f"{version}: was trained on other bands. Give --features.mels, --features.lowest and --features.highest as it was."
        )
    pairs = list(zip(_but_symbols(mine), _but_symbols(theirs), strict=False))
    if len(_but_symbols(mine)) != len(_but_symbols(theirs)) or any(one.shape != other.shape for one, other in pairs):
        raise DataError(
            f"{version}: was trained with other sizes. Give --lstm.units, --lstm.bidirectional and --model.filters as it was."
        )
    for one, other in pairs:
        one.assign(other)
    rows = [0] + [metadata["alphabet"].find(sign) + 1 for sign in alphabet]
    known = [k for k, row in enumerate(rows) if row or k == 0]  # the blank is the first
    layer, there = (parts.reading.get_layer(SYMBOLS) for parts in (mine, theirs))
    weights = [np.array(weight) for weight in layer.get_weights()]
    for weight, other in zip(weights, there.get_weights(), strict=True):
        weight[..., known] = other[..., [rows[k] for k in known]]
    layer.set_weights(weights)


def _same_bands(one: Submodels, other: Submodels) -> bool:
    mels = [parts.hearing.get_layer(MEL).get_weights()[0] for parts in (one, other)]
    return mels[0].shape == mels[1].shape and bool(np.allclose(*mels))


def _but_symbols(parts: Submodels) -> list[keras.Variable]:
    symbols = {id(weight) for weight in parts.reading.get_layer(SYMBOLS).weights}
    return [weight for weight in parts.reading.weights if id(weight) not in symbols]
