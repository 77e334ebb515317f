"""Warm start: a new model starts with the weights of an exported version, for example one trained on other recordings."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from shared.decoding.ctc_symbols import BLANK_ID
from shared.errors import DataError
from shared.export import keras_file
from shared.export.versions import load_metadata
from tasks.speech.model import Submodels, get_submodels

SYMBOLS_LAYER, MEL_LAYER = "symbols", "mel"


def warm_start(model: keras.Model, alphabet: str, version: Path) -> None:
    """Copies the weights of an exported version to a model.

    In the output layer, each character gets its weights from the exported version, whatever its symbol id there. A character that the
    exported version does not have keeps its random weights.

    Args:
        model: from `tasks.speech.model.SubmodelBuilder.full_model`.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        version: folder that `lstm-suite train speech` exported, with the same mel bands and sizes.

    Raises:
        ExportError: the folder is not an exported version of this task.
        DataError: the version has other mel bands or sizes.
    """
    metadata = load_metadata(version, "speech")
    target, source = get_submodels(model), get_submodels(keras_file.load(version / "model.keras"))
    if not _have_same_bands(target, source):
        raise DataError(
            f"{version}: the mel bands differ. Give --features.mel-bands, --features.min-frequency and --features.max-frequency the "
            "values of that version."
        )
    target_weights, source_weights = _weights_before_symbols(target), _weights_before_symbols(source)
    if [weight.shape for weight in target_weights] != [weight.shape for weight in source_weights]:
        raise DataError(
            f"{version}: the sizes differ. Give --lstm.units, --lstm.bidirectional and --model.filters the values of that version."
        )
    for weight, value in zip(target_weights, source_weights, strict=True):
        weight.assign(value)
    _copy_symbols(target, source, alphabet, metadata["alphabet"])


def _copy_symbols(target: Submodels, source: Submodels, alphabet: str, source_alphabet: str) -> None:
    """Copies the weights of the output layer for `BLANK_ID` and the characters that both models have."""
    source_ids = [BLANK_ID] + [source_alphabet.find(character) + 1 for character in alphabet]
    known_ids = [k for k, source_id in enumerate(source_ids) if source_id or k == BLANK_ID]
    target_layer, source_layer = (submodels.acoustic_model.get_layer(SYMBOLS_LAYER) for submodels in (target, source))
    weights = [np.array(weight) for weight in target_layer.get_weights()]
    for weight, source_weight in zip(weights, source_layer.get_weights(), strict=True):
        weight[..., known_ids] = source_weight[..., [source_ids[k] for k in known_ids]]
    target_layer.set_weights(weights)


def _have_same_bands(first: Submodels, second: Submodels) -> bool:
    filters = [submodels.feature_extractor.get_layer(MEL_LAYER).get_weights()[0] for submodels in (first, second)]
    return filters[0].shape == filters[1].shape and bool(np.allclose(*filters))


def _weights_before_symbols(submodels: Submodels) -> list[keras.Variable]:
    """Returns all weights of the acoustic model but those of its output layer."""
    symbols = {id(weight) for weight in submodels.acoustic_model.get_layer(SYMBOLS_LAYER).weights}
    return [weight for weight in submodels.acoustic_model.weights if id(weight) not in symbols]
