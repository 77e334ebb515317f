"""What words say of the next one, for the beam search to hear: n-grams of the training transcripts, or an exported next-word
model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from shared.errors import DataError
from shared.kneser_ney import KneserNey
from tasks.speech.decoding import Opinion

END, UNKNOWN = 1, 2  # numbers; 0 never comes
FIRST = 3  # of the words
LEAST = 1e-8
LETTER = float(np.log(10.0))  # what each letter of a word that nobody knows costs
LINE_END, MARKS = "<eos>", {"<eos>", "<unk>"}  # as the next-word task writes them
KEPT = 2000  # beginnings whose distribution is kept


def ngram_opinion(texts: Sequence[str], order: int) -> tuple[Opinion, frozenset[str]]:
    """Returns the opinion of an n-gram model of some texts, and their words.

    Words that are none of them share what is left for one unknown word, by ten for each letter, so that long ones that
    nobody knows are no bargain.

    Args:
        texts: transcripts.
        order: words of the longest n-gram.
    """
    words = sorted({word for text in texts for word in text.split()})
    numbers = {word: k for k, word in enumerate(words, FIRST)}
    stream = [END]
    for text in texts:
        stream += [*(numbers[word] for word in text.split()), END]
    model = KneserNey(np.array(stream), len(words) + FIRST, END, order)

    @lru_cache(maxsize=200_000)
    def of(context: tuple[int, ...], number: int) -> float:
        found = model.probabilities(np.array([*context, number]))
        return float(np.log(max(found[-1], LEAST)))

    def opinion(before: tuple[str, ...], word: str) -> float:
        context = (END, *(numbers.get(w, UNKNOWN) for w in before))[-max(1, order - 1) :]
        number = END if not word else numbers.get(word, UNKNOWN)
        return of(context, number) - (LETTER * len(word) if number == UNKNOWN else 0.0)

    return opinion, frozenset(words)


def exported_opinion(version: Path) -> tuple[Opinion, frozenset[str]]:
    """Returns the opinion of a next-word model of words, by its `step` signature, and the words it knows.

    Train it on texts that are written as the transcripts are. A word that it does not know has the unknown word's probability,
    less ten for each letter.

    Args:
        version: a folder that `lstm-suite train next_word` exported.

    Raises:
        DataError: it is none, or predicts characters.
    """
    try:
        metadata = json.loads((version / "task.json").read_text(encoding="utf-8"))
        loaded = tf.saved_model.load(str(version))
        step = loaded.signatures["step"]
        fine = metadata["task"] == "next_word" and metadata["text"]["unit"] == "word"
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{version}: no exported next-word model ({error}). Name a folder such as saved_models/next_word/1."
        ) from error
    if not fine:
        raise DataError(f"{version}: does not predict words. Name a version of next_word with --text.unit word.")
    numbers = {word: k for k, word in enumerate(metadata["vocabulary"], 2)}  # behind padding and the unknown word
    size = step.structured_input_signature[1]["state"].shape[1]

    @lru_cache(maxsize=KEPT)
    def after(words: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        memory = after(words[:-1])[1] if words else np.zeros((1, size), np.float32)
        found = loaded.signatures["step"](
            word=tf.constant([words[-1] if words else LINE_END]), memory=tf.constant(memory)
        )
        return found["log_probabilities"].numpy()[0], found["state"].numpy()

    def opinion(before: tuple[str, ...], word: str) -> float:
        logs, number = after(before)[0], numbers.get(word or LINE_END, 1)
        return float(logs[number]) - (LETTER * len(word) if number == 1 else 0.0)

    return opinion, frozenset(numbers) - MARKS
