"""An exported LSTM as the language model of words for the beam search (see also `shared.decoding.arpa`)."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from shared.decoding.arpa import LETTER_PENALTY
from shared.decoding.language_model_fusion import LanguageModelScore
from shared.errors import DataError
from shared.text.vocabulary import UNKNOWN_ID as EXPORTED_UNKNOWN_ID

EXPORTED_FIRST_ID = EXPORTED_UNKNOWN_ID + 1
LINE_END, SPECIAL_TOKENS = "<eos>", {"<eos>", "<unk>"}  # in the vocabulary of an exported model
MAX_CACHED_DISTRIBUTIONS = 2000


def load_exported_model(version: Path, task: str) -> tuple[LanguageModelScore, frozenset[str]]:
    """Returns the score function of an exported language model of words, which calls its `step` signature, and its vocabulary.

    `step` takes `word` string `(batch,)` and `state` float32 `(batch, state_size)`, zeros at the beginning. It returns
    `log_probabilities` float32 `(batch, tokens)` of the next word and the next `state`. `task.json` has the words in `vocabulary`;
    the first one has the token id 2, after padding and the unknown word.

    Train the model on texts with the spelling of the texts to decode. A word outside the vocabulary has the probability of the
    unknown word, divided by ten for each letter.

    Args:
        version: folder that `lstm-suite train` exported.
        task: name of the task that trains such models.

    Raises:
        DataError: the folder is not an exported version of this task, or the model predicts characters.
    """
    try:
        metadata = json.loads((version / "task.json").read_text(encoding="utf-8"))
        model = tf.saved_model.load(str(version))
        step = model.signatures["step"]
        predicts_words = metadata["task"] == task and metadata["text"]["unit"] == "word"
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{version}: not an exported {task.replace('_', '-')} model ({error}). Name a folder such as saved_models/{task}/1."
        ) from error
    if not predicts_words:
        raise DataError(
            f"{version}: the model does not predict words. Name a version of {task} whose unit is the word."
        )
    token_ids = {word: k for k, word in enumerate(metadata["vocabulary"], EXPORTED_FIRST_ID)}
    state_size = step.structured_input_signature[1]["state"].shape[1]

    @lru_cache(maxsize=MAX_CACHED_DISTRIBUTIONS)
    def run_after(words: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the log-probabilities of the next word, and the state, after some words."""
        state = run_after(words[:-1])[1] if words else np.zeros((1, state_size), np.float32)
        # `model` stays referenced here: a signature alone does not keep its model alive
        outputs = model.signatures["step"](
            word=tf.constant([words[-1] if words else LINE_END]), state=tf.constant(state)
        )
        return outputs["log_probabilities"].numpy()[0], outputs["state"].numpy()

    def score(previous_words: tuple[str, ...], word: str) -> float:
        log_probabilities = run_after(previous_words)[0]
        token_id = token_ids.get(word or LINE_END, EXPORTED_UNKNOWN_ID)
        penalty = LETTER_PENALTY * len(word) if token_id == EXPORTED_UNKNOWN_ID else 0.0
        return float(log_probabilities[token_id]) - penalty

    return score, frozenset(token_ids) - SPECIAL_TOKENS
