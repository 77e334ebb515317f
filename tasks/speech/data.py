"""Reads recordings and their texts from any source into three splits that have no speaker in common."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.notices import add_notice, count_noun
from shared.data.sources import Origin, Splits, load_source, read_split_files, sha256_records
from shared.data.splits import SPLITS, Selection, hold_out, split_by_group
from shared.decoding.ctc_symbols import count_min_steps
from shared.errors import DataError
from tasks.speech import audio, data_set, measurements, sample, transcripts, user_files
from tasks.speech.config import SpeechConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps

MAX_LISTED = 5  # names in a notice
MAX_LISTED_SPEAKERS = 20
MAX_LISTED_CHARACTERS = 100


def load(config: SpeechConfig) -> Splits:
    """Reads the recordings and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text`, `speaker` ("" if unknown), `name`, and the place of the samples: `cache_file`, a file of
        16-bit samples at 16 kHz, with the `start` and the `length` of the recording in samples. Files of the user also give
        the measurements of the recordings (`tasks.speech.measurements.COLUMNS`).

    Raises:
        DataError: a manifest or a recording cannot be used, or there are too few.
    """
    frames, origin = load_source(
        config,
        sample=_read_sample,
        files=lambda: read_split_files(config, partial(user_files.read, config), digest=""),
        tfds=lambda: data_set.load(config),
        suffixes=(user_files.ARCHIVE_SUFFIX,),
    )
    if "test" in frames and (config.split.test_files or config.split.test_speakers):
        raise DataError(
            f"{config.data}: there is already a test split. Remove {option(config.split, 'test_files')} and "
            f"{option(config.split, 'test_speakers')}."
        )
    frames, descriptions = hold_out(frames, config, config.split, partial(_select, config), "recordings")
    description = origin.split_description or "; ".join(descriptions.values())
    frames = _without_duplicates(frames, config)
    frames["train"] = _without_unusable(frames["train"], "training", config)
    alphabet = set("".join(frames["train"]["text"]))
    frames["validation"] = _without_unusable(frames["validation"], "validation", config, alphabet)
    digest = sha256_records(pd.DataFrame({"part": [_digest(frames[name]) for name in SPLITS]}))
    return Splits(
        **{name: frame.reset_index(drop=True) for name, frame in frames.items()},
        origin=dataclasses.replace(origin, sha256=digest, split_description=description),
        details={
            "hours": measurements.summarize_hours,
            "sample rate": measurements.summarize_rates,
            "channels": measurements.summarize_channels,
            "clipped": measurements.summarize_clipping,
            "silence": measurements.summarize_silence,
            "alphabet": _summarize_alphabet,
        },
        display={
            **dict.fromkeys(measurements.COLUMNS),
            "cache_file": None,
            "start": None,
            "length": lambda samples: (samples / SAMPLE_RATE).rename("seconds"),
        },
    )


def _read_sample() -> tuple[dict[str, pd.DataFrame], Origin]:
    return sample.split(), Origin.of_sample(sample.LOCATION, "", "different voices in each split", sample.LICENCE)


def _without_duplicates(frames: dict[str, pd.DataFrame], config: SpeechConfig) -> dict[str, pd.DataFrame]:
    """Removes recordings from the training and the validation split whose samples also occur in a later split; a notice names them."""
    digests = {name: np.array(list(_recording_digests(frames[name])), object) for name in SPLITS}
    result, later = dict(frames), set(digests["test"])
    for name, title in (("validation", "validation"), ("train", "training")):
        is_duplicate = np.isin(digests[name], list(later))
        if is_duplicate.any():
            names = frames[name]["name"][is_duplicate].tolist()
            listed = ", ".join(names[:MAX_LISTED]) + (" …" if len(names) > MAX_LISTED else "")
            add_notice(
                f"{config.data}: {is_duplicate.sum()} recordings of the {title} split have the same samples as recordings that are held "
                f"out, and were removed from it: {listed}."
            )
            result[name] = frames[name][~is_duplicate]
        later |= set(digests[name])
        if not len(result[name]):
            raise DataError(
                f"{config.data}: all recordings of the {title} split also occur in the splits that are held out. Give other recordings."
            )
    _notice_copies(pd.concat([frames[name].assign(digest=digests[name]) for name in SPLITS]), config)
    return result


def _notice_copies(frame: pd.DataFrame, config: SpeechConfig) -> None:
    """Adds notices on recordings with the same samples: with one text, and with different texts.

    Args:
        frame: columns `name`, `text` and `digest` of all splits.
        config: source of the recordings, for the message.
    """
    groups = frame[frame.duplicated("digest", keep=False)].groupby("digest", sort=False)
    texts = groups["text"].unique()
    for count, problem, hint, chosen in (
        ((texts.str.len() > 1).sum(), "different texts", "Correct the texts.", texts[texts.str.len() > 1]),
        ((texts.str.len() == 1).sum(), "the same text", "", texts[texts.str.len() == 1]),
    ):
        if count:
            listed = "; ".join(", ".join(groups["name"].get_group(digest)[:2]) for digest in chosen.index[:MAX_LISTED])
            noun = count_noun(int(count), "recording occurs", "recordings occur")
            add_notice(f"{config.data}: {noun} several times with {problem}: {listed}.", hint=hint)


def _recording_digests(frame: pd.DataFrame) -> Iterator[str]:
    """Yields the SHA-256 of the samples of each recording."""
    caches = {path: audio.open_cache(str(path)) for path in frame["cache_file"].unique()}
    for path, start, length in zip(frame["cache_file"], frame["start"], frame["length"], strict=True):
        yield hashlib.sha256(caches[path][start : start + length].tobytes()).hexdigest()


def _summarize_alphabet(frame: pd.DataFrame) -> str:
    """Returns the characters of the texts with their counts, such as "a 12, b 3"."""
    counts = Counter("".join(frame["text"]))
    listed = [f"{transcripts.describe_character(character)} {count:,}" for character, count in sorted(counts.items())]
    return ", ".join(listed[:MAX_LISTED_CHARACTERS]) + (" …" if len(listed) > MAX_LISTED_CHARACTERS else "")


def _without_unusable(
    frame: pd.DataFrame, split: str, config: SpeechConfig, alphabet: set[str] | None = None
) -> pd.DataFrame:
    """Removes recordings that are too long, too short for their text, or whose text has characters outside the alphabet; a notice
    names them."""
    length = frame["length"].to_numpy()
    texts = frame["text"].tolist()
    min_steps = np.array([count_min_steps(text) for text in texts])
    problems = {
        f"are longer than {config.features.max_seconds:g} seconds": length > config.features.max_seconds * SAMPLE_RATE,
        "are too short for their text": count_steps(length) < min_steps,
    }
    if alphabet is not None:
        problems["have characters that the training split lacks"] = np.array(
            [not set(text) <= alphabet for text in texts]
        )
    is_usable = np.ones(len(frame), bool)
    for problem, rows in problems.items():
        if rows.any():
            names = frame["name"][rows].tolist()
            listed = ", ".join(names[:MAX_LISTED]) + (" …" if len(names) > MAX_LISTED else "")
            add_notice(
                f"{config.data}: recordings of the {split} split are left out: {rows.sum()} {problem}: {listed}."
            )
            is_usable &= ~rows
    if not is_usable.any():
        raise DataError(
            f"{config.data}: the {split} split has no usable recordings. The notices above give the reasons."
        )
    return frame[is_usable]


def _select(config: SpeechConfig, frame: pd.DataFrame, name: str, fraction: float) -> Selection:
    """Selects recordings to hold out: the chosen test speakers or files, or whole speakers at random where there are enough."""
    speakers = frame["speaker"].to_numpy()
    if name == "test" and config.split.test_speakers:
        return _has_test_speaker(speakers, config), ", ".join(config.split.test_speakers)
    if name == "test" and config.split.test_files:
        return _matches_test_files(frame["name"], config), config.split.test_files
    by_speaker = len(set(speakers)) > 2 or (len(set(speakers)) == 2 and name == "test")
    is_held_out = split_by_group((speakers if by_speaker else np.arange(len(frame))).tolist(), fraction)
    return is_held_out, f"{is_held_out.mean():.0%} held out {'by speaker' if by_speaker else 'at random'}"


def _has_test_speaker(speakers: np.ndarray, config: SpeechConfig) -> np.ndarray:
    """Returns a mask of the recordings of the test speakers, after checking that each exists and not all are named."""
    unknown = sorted(set(config.split.test_speakers) - set(speakers))
    if unknown:
        known = ", ".join(sorted(set(speakers))[:MAX_LISTED_SPEAKERS])
        raise DataError(
            f"{config.data}: there is no speaker {unknown[0]}. The speakers are {known}. Change "
            f"{option(config.split, 'test_speakers')}."
        )
    is_test_speaker = np.isin(speakers, config.split.test_speakers)
    if is_test_speaker.all():
        raise DataError(
            f"{config.data}: {option(config.split, 'test_speakers')} names all speakers, so none is left for training. Name "
            "fewer."
        )
    return is_test_speaker


def _matches_test_files(names: pd.Series, config: SpeechConfig) -> np.ndarray:
    """Returns a mask of the recordings that match `--split.test-files`, after checking that it selects some, but not all."""
    pattern = str(config.split.test_files)
    matches = np.array([fnmatchcase(name, pattern) for name in names])
    if matches.all() or not matches.any():
        selection = "all recordings" if matches.any() else "no recording"
        raise DataError(
            f"{config.data}: {option(config.split, 'test_files')} {pattern} selects {selection}. One file name is {names.iloc[0]}. "
            "Change the pattern."
        )
    return matches


def _digest(frame: pd.DataFrame) -> str:
    """Returns the SHA-256 of the texts, speakers, names and samples."""
    digest = hashlib.sha256(sha256_records(frame[["text", "speaker", "name"]]).encode())
    for path, rows in frame.groupby("cache_file"):
        samples = audio.open_cache(str(path))
        for start, length in zip(rows["start"], rows["length"], strict=True):
            digest.update(samples[start : start + length].tobytes())
    return digest.hexdigest()
