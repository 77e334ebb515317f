"""What the validation split decides after the training: the language model's weights, and the calibration of the confidences."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from shared.data.sources import Splits
from shared.decoding import arpa
from shared.decoding.ctc_beam_search import select_fusion
from shared.decoding.language_model_fusion import list_candidates
from tasks.speech.augmentation import make_noise
from tasks.speech.batches import iterate_recordings
from tasks.speech.config import DecodingConfig, SpeechConfig
from tasks.speech.decoder import (
    NO_CALIBRATION,
    Decoder,
    is_arpa_file,
    letters_logit,
    load_decoder,
    load_language_model,
    pack_language_model,
)
from tasks.speech.evaluate import compute_log_probabilities, count_word_errors

MAX_RECORDINGS = 200  # of the validation split
NOISE_DECIBELS = (-20.0, 0.0)  # of the noise in the second copy of each recording, relative to its speech
MAX_LOST_WORDS = 0.005
"""Fraction of the correct words of the validation split that the minimum of the confidence may cost."""
MAX_MINIMUM = 0.8
"""Limit of the minimum, so that a transcript that is very probably right is never left out."""
MAX_UNCERTAIN_MINIMUM = 0.5
"""The same for a validation split with so few words that it cannot show a loss of `MAX_LOST_WORDS`."""
SAFETY_FACTOR = 0.95
"""Factor of the minimum, because other recordings have lower confidences than those of the validation split."""
MIN_WORDS = 30
"""Words that a calibration needs, of which some must be wrong and some right."""


def tune_decoding(model: keras.Model, splits: Splits, config: SpeechConfig, alphabet: str) -> dict[str, Any]:
    """Returns the metadata for decoding: `language_model` with its weight, word bonus and vocabulary that give the fewest word errors on
    the validation split, and `confidence`, the calibration of the words with and without it.

    Args:
        model: from the `full_model` of a `tasks.speech.model.SubmodelBuilder`.
        splits: from `tasks.speech.data.load`; the test split is not used.
        config: options of the run.
        alphabet: characters of the model.
    """
    frame = splits.validation.sample(min(MAX_RECORDINGS, len(splits.validation)), random_state=0)
    recordings, references = list(iterate_recordings(frame)), frame["text"].tolist()
    clean = compute_log_probabilities(model, recordings)
    language_model = tune_language_model(clean, references, splits.train["text"].tolist(), config.decoding, alphabet)
    noisy = compute_log_probabilities(
        model, [_add_noise(samples, k, recordings) for k, samples in enumerate(recordings)]
    )
    metadata: dict[str, Any] = {
        "alphabet": alphabet,
        "language_model": language_model,
        "confidence": {key: {"calibration": NO_CALIBRATION, "minimum": 0.0} for key in ("greedy", "language_model")},
    }
    confidence = {}
    for name in metadata["confidence"]:
        decoder = load_decoder(metadata, name == "language_model")
        calibration = fit_confidence(decoder, [*clean, *noisy], [*references, *references])
        decoder = dataclasses.replace(decoder, calibration=calibration)
        confidence[name] = {"calibration": calibration, "minimum": choose_min_confidence(decoder, clean, references)}
    return metadata | {"confidence": confidence}


def tune_language_model(
    log_probabilities: Sequence[np.ndarray],
    references: Sequence[str],
    training_texts: Sequence[str],
    config: DecodingConfig,
    alphabet: str,
) -> dict[str, Any]:
    """Returns the language model for the metadata, with the settings that give the fewest word errors.

    Args:
        log_probabilities: of the symbols, for each recording of the validation split, float `(steps, symbols)`.
        references: correct texts of these recordings.
        training_texts: texts of the n-gram model, unless the options name another language model.
        config: options of the decoding.
        alphabet: characters of the model.
    """
    settings: dict[str, Any] = {"beam_width": config.beam_width}
    if config.language_model and is_arpa_file(config.language_model):
        settings["ngrams"] = pack_language_model(arpa.read_model(Path(config.language_model).expanduser()))
    elif config.language_model:
        settings["source"] = str(Path(config.language_model).expanduser().resolve())
    else:
        settings["ngrams"] = pack_language_model(arpa.train_model(training_texts, config.language_model_order))
    score, known_words = load_language_model(settings)
    vocabularies: dict[str, list[frozenset[str] | None]] = {
        "open": [None],
        "closed": [known_words],
        "auto": [None, known_words],
    }
    candidates = list_candidates(
        score, vocabularies[config.vocabulary], config.language_model_weights, config.word_bonuses
    )
    best = select_fusion(
        candidates,
        log_probabilities,
        alphabet,
        config.beam_width,
        lambda texts: float(count_word_errors(references, texts)[:, 0].sum()),
    )
    return settings | {"weight": best.weight, "word_bonus": best.bonus, "is_closed": best.vocabulary is not None}


def fit_confidence(
    decoder: Decoder, log_probabilities: Sequence[np.ndarray], references: Sequence[str]
) -> tuple[float, float]:
    """Returns slope and intercept of the confidence of a word, by logistic regression on whether it is correct (Platt, 1999).

    They stay (1, 0) if there are too few words, or no word is wrong, or the slope would not be positive.

    Args:
        decoder: writes the texts, with the calibration (1, 0).
        log_probabilities: of the symbols, for each recording, float `(steps, symbols)`.
        references: correct texts of these recordings.
    """
    from sklearn.linear_model import LogisticRegression

    logits: list[float] = []
    is_correct: list[bool] = []
    for values, reference in zip(log_probabilities, references, strict=True):
        words = decoder.decode(values).words
        logits += [letters_logit(float(np.log(word.confidence))) for word in words]
        is_correct += correct_words(reference, [word.text for word in words])
    if len(logits) < MIN_WORDS or len(set(is_correct)) < 2:
        return NO_CALIBRATION
    model = LogisticRegression().fit(np.array(logits)[:, None], is_correct)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (round(slope, 6), round(intercept, 6)) if slope > 0 else NO_CALIBRATION


def choose_min_confidence(
    decoder: Decoder, log_probabilities: Sequence[np.ndarray], references: Sequence[str]
) -> float:
    """Returns the highest minimum of the confidence of a transcript that costs at most `MAX_LOST_WORDS` of the correct words.

    What is said by several people at once, or no speech at all, is then mostly left out.

    Args:
        decoder: writes the texts, without a minimum.
        log_probabilities: of the symbols, for each recording, float `(steps, symbols)`.
        references: correct texts of these recordings.
    """
    rows = []
    for values, reference in zip(log_probabilities, references, strict=True):
        transcript = decoder.decode(values)
        if transcript.words:
            correct = sum(correct_words(reference, [word.text for word in transcript.words]))
            rows.append((transcript.confidence, correct))
    rows.sort()
    budget = MAX_LOST_WORDS * sum(correct for _, correct in rows)
    lost = 0
    for confidence, correct in rows:
        lost += correct
        if lost > budget:
            limit = MAX_MINIMUM if budget >= 1 else MAX_UNCERTAIN_MINIMUM
            return round(min(limit, SAFETY_FACTOR * confidence), 6)
    return 0.0


def correct_words(reference: str, words: Sequence[str]) -> list[bool]:
    """Returns whether each word agrees with the reference, in the alignment with the fewest errors."""
    import jiwer

    result = [False] * len(words)
    if not words or not reference:
        return result
    for chunk in jiwer.process_words(reference, " ".join(words)).alignments[0]:
        if chunk.type == "equal":
            result[chunk.hyp_start_idx : chunk.hyp_end_idx] = [True] * (chunk.hyp_end_idx - chunk.hyp_start_idx)
    return result


def _add_noise(samples: np.ndarray, row: int, recordings: Sequence[np.ndarray]) -> np.ndarray:
    """Returns a recording with noise of random loudness, float32 `(samples,)`."""
    rng = np.random.default_rng((0, row))
    decibels = rng.uniform(*NOISE_DECIBELS)
    noise = make_noise(len(samples), rng, lambda: recordings[int(rng.integers(len(recordings)))])
    power = np.mean(np.square(samples)) * 10 ** (decibels / 10)
    return np.clip(samples + noise * np.sqrt(power), -1, 1).astype(np.float32)
