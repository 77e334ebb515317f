"""How probable texts are by the model: the command `lstm-suite score`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.config import PredictOptions
from shared.data.notices import add_notice
from shared.task import Inputs, Predictions, Predictor
from tasks.next_word.tokenization import SPECIAL_TOKENS

BATCH_SIZE = 16
"""Texts per request; outputs are as long as the longest text."""
MAX_UNKNOWN_RATE = 0.2
"""Rate of unknown words above which a perplexity says little."""


def score_texts(
    texts: Sequence[str], metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns scores of each text, float64 or int64 `(texts,)` each; NaN for an empty text.

    `tokens` counts words or characters. `perplexity` is per token. `bits_per_character` spreads the same probability over the
    characters of the text, so that texts of different vocabularies compare. `unknown_rate` is the fraction of tokens that the model
    does not know: an unknown word costs little, whatever it is, so a text with many of them has a low perplexity without being
    probable.

    Args:
        texts: texts of any length.
        metadata: metadata of the model.
        predictor: calls the signature `score`.
        options: options of the command.
    """
    unknown = SPECIAL_TOKENS[metadata["text"]["unit"]][0].encode()
    columns = np.full((len(texts), 4), np.nan)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(texts), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        batch = [texts[k].encode("utf-8", errors="surrogateescape") for k in rows]
        outputs = predictor({"text": np.array(batch, object)})
        for row, words, values in zip(rows, outputs["words"], outputs["log_probability"], strict=True):
            is_token = words != b""
            count, total = int(is_token.sum()), float(values[is_token].sum(dtype=np.float64))
            columns[row, 0] = count
            if count:
                bits = -total / np.log(2) / len(texts[row])
                columns[row, 1:] = np.exp(-total / count), bits, np.mean(words[is_token] == unknown)
    names = ("tokens", "perplexity", "bits_per_character", "unknown_rate")
    return {
        name: column.astype(np.int64) if name == "tokens" else column
        for name, column in zip(names, columns.T, strict=True)
    }


def notice_unknown(rate: float, unit: str) -> None:
    """Adds a notice if a perplexity says little, because the rate of unknown words is above `MAX_UNKNOWN_RATE`."""
    if rate > MAX_UNKNOWN_RATE:
        add_notice(
            f"{rate:.0%} of the {unit}s are unknown to the model, so the perplexity says little.",
            hint="Train on texts of this kind.",
        )


def score_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns of `score_texts`, with a notice if many words are unknown."""
    count = int(np.sum(np.asarray(predictions["unknown_rate"]) > MAX_UNKNOWN_RATE))
    if count:
        add_notice(
            f"More than {MAX_UNKNOWN_RATE:.0%} of the {metadata['text']['unit']}s of some texts are unknown to the model; their perplexity "
            "says little.",
            hint="Compare the columns unknown_rate, or train on texts of this kind.",
        )
    return pd.DataFrame(dict(predictions))
