"""Text that continues a prompt: the loop in the graph, and the command `lstm-suite generate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from shared.decoding import generation, sampling
from shared.task import Inputs, Predictions, Predictor
from tasks.next_word import tokenization
from tasks.next_word.config import GenerateOptions
from tasks.next_word.model import Submodels

MAX_TEMPERATURE = 100
"""Maximum temperature: above it, special tokens could become possible."""
MAX_PENALTY = 100
"""Maximum repetition penalty, for the same reason."""
MAX_LENGTH = 1000
"""Maximum number of words to generate at once."""


def generate(
    prompts: Sequence[str], metadata: Mapping[str, Any], predictor: Predictor, options: GenerateOptions
) -> Predictions:
    """Returns texts that begin with the prompts, as `text`.

    Args:
        prompts: one text each; surrogate escapes become the bytes that they stand for.
        metadata: metadata of the model.
        predictor: calls the signature `generate`.
        options: length and settings of the sampling.
    """
    count = len(prompts)
    request = {
        "prompt": np.array([prompt.encode("utf-8", errors="surrogateescape") for prompt in prompts], object),
        "length": np.full(count, options.length, np.int32),
        "temperature": np.full(count, options.temperature, np.float32),
        "top_k": np.full(count, options.top_k, np.int32),
        "top_p": np.full(count, options.top_p, np.float32),
        "repetition_penalty": np.full(count, options.repetition_penalty, np.float32),
        "seed": options.seed + np.arange(count, dtype=np.int32),
    }
    separator = "" if metadata["text"]["unit"] == "character" else " "
    continuations = [text.decode() for text in predictor(request)["text"]]
    texts = [_join(prompt, separator, text) for prompt, text in zip(prompts, continuations, strict=True)]
    return {"text": np.array(texts, object)}


def text_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: GenerateOptions
) -> pd.DataFrame:
    """Returns the column `text`, the prompt with its continuation."""
    return pd.DataFrame({"text": predictions["text"]}, dtype=object)  # surrogate escapes stay as they are


def _join(prompt: str, separator: str, continuation: str) -> str:
    """Returns prompt and continuation as one text; punctuation and a line end follow a word without a space."""
    has_space = not prompt or prompt[-1].isspace()
    follows_directly = not continuation or continuation[0] in "\n.,;:!?%)]}\u201d\u2019"
    return prompt + ("" if has_space or follows_directly else separator) + continuation


def generate_token_ids(submodels: Submodels, prompt: tf.Tensor, options: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns token ids that continue prompts, int32 `(batch, maximum length)`, 0 after the length of a row.

    Args:
        submodels: submodels of the language model.
        prompt: token ids `(batch, time)`, padded on the right, at least one per row.
        options: `length`, `temperature`, `top_k`, `top_p`, `repetition_penalty` and `seed`, `(batch,)` each. The penalty also counts
            the tokens of the prompt.
    """

    def logits(hidden: tf.Tensor) -> tf.Tensor:
        return tokenization.mask_special_tokens(submodels.head(hidden[:, None])[:, 0], allow_line_end=True)

    def step(token_ids: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = {"token_ids": token_ids[:, None], "length": tf.ones_like(token_ids), "state": state}
        outputs = submodels.encoder(inputs)
        return logits(outputs["hidden"][:, 0]), outputs["state"]

    length = tf.reduce_sum(tf.cast(prompt != tokenization.PADDING_ID, tf.int32), axis=1)
    state = tf.zeros((tf.shape(prompt)[0], submodels.state_size))
    outputs = submodels.encoder({"token_ids": prompt, "length": length, "state": state})
    hidden = tf.gather(outputs["hidden"], length - 1, batch_dims=1)
    settings = sampling.Settings(*(options[name] for name in sampling.Settings._fields))
    first = logits(hidden)
    vocabulary_size = tf.shape(first)[1]
    has_occurred = tf.reduce_any(tf.one_hot(prompt, vocabulary_size, on_value=True, off_value=False), axis=1)
    return generation.sample(
        step,
        first,
        outputs["state"],
        options["length"],
        settings,
        max_positions=MAX_LENGTH,
        has_occurred=has_occurred,
    ).token_ids
