"""Mixtures of the language model with an n-gram model and with caches of the preceding words.

The caches read the words of the test split, so a file of the user cannot be scored with the weights of another text.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shared.task import EXPORTED
from tasks.next_word import cache

BEST_NGRAM = "kneser_ney_5"
"""The n-gram model in the mixtures."""
MIXTURE = "mixture"
"""Name of the mixtures of the model with the n-gram model in the results."""
CONTINUOUS_CACHE, UNIGRAM_CACHE, DYNAMIC = "continuous cache", "unigram cache", "dynamic evaluation"

Probabilities = Mapping[str, np.ndarray]
"""Probabilities of the words of a split `(words,)`, by model."""


def cache_probabilities(
    outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], streams: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the probabilities of the words by the two caches, by split.

    Args:
        outputs: by split, the probabilities of its words by the model `(words,)`, and the outputs of the encoder before each word
            `(words, size)`; the validation split sets the sharpness of the continuous cache.
        streams: by split, token ids `(words + 1,)`.
    """
    model, hidden = outputs["validation"]
    sharpness = cache.choose_sharpness(hidden, streams["validation"][1:], model)
    return {
        name: {
            CONTINUOUS_CACHE: cache.continuous_cache(states, streams[name][1:], sharpness),
            UNIGRAM_CACHE: cache.unigram_cache(streams[name][1:]),
        }
        for name, (_, states) in outputs.items()
    }


def mix_models(
    static: Mapping[str, Probabilities], adaptive: Mapping[str, Probabilities]
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, dict[str, float]]]:
    """Returns the test probabilities of all mixtures, by model and metric, and their weights, which the validation split sets.

    Args:
        static: probabilities by the exported model and by `BEST_NGRAM`, for the validation and the test split.
        adaptive: probabilities by the caches and, if wanted, by dynamic evaluation, for the same splits.
    """
    mixtures: dict[tuple[str, str], tuple[str, ...]] = {
        (EXPORTED, "perplexity_adaptive"): (EXPORTED, CONTINUOUS_CACHE),
        (BEST_NGRAM, "perplexity_adaptive"): (BEST_NGRAM, UNIGRAM_CACHE),
        (MIXTURE, "perplexity"): (EXPORTED, BEST_NGRAM),
        (MIXTURE, "perplexity_adaptive"): (EXPORTED, BEST_NGRAM, CONTINUOUS_CACHE, UNIGRAM_CACHE),
    }
    result = {}
    if DYNAMIC in adaptive["test"]:
        result[EXPORTED, "perplexity_dynamic"] = adaptive["test"][DYNAMIC]
        mixtures[MIXTURE, "perplexity_dynamic"] = (*mixtures[MIXTURE, "perplexity_adaptive"], DYNAMIC)
    all_weights = {}
    for key, names in mixtures.items():
        members = {split: [{**static[split], **adaptive[split]}[name] for name in names] for split in static}
        weights = cache.fit_mixture_weights(members["validation"])
        result[key] = cache.mix(members["test"], weights)
        all_weights[" ".join(key)] = dict(zip(names, map(float, weights), strict=True))
    return result, all_weights
