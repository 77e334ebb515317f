"""Reads recordings and their texts from any source into three splits that have no speaker in common."""

from __future__ import annotations

import hashlib
import logging
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import sources
from shared.data.pipelines import split_by_group
from shared.data.sources import Origin, Splits
from shared.decoding.ctc_symbols import count_min_steps
from shared.errors import DataError
from tasks.speech import audio, data_set, sample, user_files
from tasks.speech.config import SpeechConfig
from tasks.speech.features import SAMPLE_RATE
from tasks.speech.model import count_steps

SPLIT_SEED = 1  # independent of the training seed, so that runs with several seeds have the same test split
MAX_LISTED = 5  # names in a warning
MAX_LISTED_SPEAKERS = 20


def load(config: SpeechConfig) -> Splits:
    """Reads the recordings and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text`, `speaker` ("" if unknown), `name`, and the place of the samples: `cache_file`, a file of
        16-bit samples at 16 kHz, with the `start` and the `length` of the recording in samples.

    Raises:
        DataError: a manifest or a recording cannot be used, or there are too few.
    """
    source = config.data
    has_user_files = source != "sample" and (sources.is_path(source) or user_files.is_folder_or_archive(source))
    sources.reject_split_files(config, has_user_files)
    if source == "sample":
        frames, origin = sample.split(), Origin("sample", sample.LOCATION, "", sample.LICENCE, "")
        descriptions = ["different voices in each split"]
    elif has_user_files:
        frames, origin = _load_files(config)
        descriptions = [f"{name} from {Path(_split_files(config)[name]).name}" for name in frames if name != "train"]
    else:
        frames, origin = data_set.load(config)
        descriptions = [f"{name} split of the data set" for name in frames if name != "train"]
    if "test" in frames and (config.split.test_files or config.split.test_speakers):
        raise DataError(
            f"{source}: there is already a test split. Remove {option(config.split, 'test_files')} and "
            f"{option(config.split, 'test_speakers')}."
        )
    for name, fraction in (("test", config.split.test_fraction), ("validation", config.split.validation_fraction)):
        if name not in frames:
            frames["train"], frames[name], description = _hold_out(frames["train"], fraction, name, config)
            descriptions.append(f"{name} {description}")
    frames["train"] = _without_unusable(frames["train"], "training", config)
    alphabet = set("".join(frames["train"]["text"]))
    frames["validation"] = _without_unusable(frames["validation"], "validation", config, alphabet)
    digests = [_digest(frames[name]) for name in ("train", "validation", "test")]
    digest = sources.sha256_records(pd.DataFrame({"part": digests}))
    return Splits(
        **{name: frame.reset_index(drop=True) for name, frame in frames.items()},
        origin=Origin(origin.name, origin.location, digest, origin.licence, "; ".join(descriptions)),
        display={
            "cache_file": None,
            "start": None,
            "length": lambda samples: (samples / SAMPLE_RATE).rename("seconds"),
        },
    )


def _split_files(config: SpeechConfig) -> dict[str, str]:
    """Returns the sources of the splits that the user gives as files."""
    paths = {"train": config.data, "validation": config.validation_data, "test": config.test_data}
    return {name: path for name, path in paths.items() if path}


def _load_files(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    frames = {name: user_files.read(config, path) for name, path in _split_files(config).items()}
    paths = [Path(path).expanduser().resolve() for path in _split_files(config).values()]
    location = ", ".join(path.name for path in paths)
    return frames, Origin(paths[0].parent.name, location, "", sources.USER_FILE_LICENCE, "")


def _without_unusable(
    frame: pd.DataFrame, split: str, config: SpeechConfig, alphabet: set[str] | None = None
) -> pd.DataFrame:
    """Removes recordings that are too long, too short for their text, or whose text has characters outside the alphabet; a warning
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
            logging.getLogger(__name__).warning(
                "%s: recordings of the %s split are left out: %d %s: %s%s.",
                config.data,
                split,
                rows.sum(),
                problem,
                ", ".join(names[:MAX_LISTED]),
                " …" if len(names) > MAX_LISTED else "",
            )
            is_usable &= ~rows
    if not is_usable.any():
        raise DataError(
            f"{config.data}: the {split} split has no usable recordings. The warnings above give the reasons."
        )
    return frame[is_usable]


def _hold_out(
    frame: pd.DataFrame, fraction: float, name: str, config: SpeechConfig
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Returns the remaining recordings, the recordings held out, and a description of the selection."""
    speakers = frame["speaker"].to_numpy()
    if name == "test" and config.split.test_speakers:
        is_held_out = _has_test_speaker(speakers, config)
        description = ", ".join(config.split.test_speakers)
    elif name == "test" and config.split.test_files:
        is_held_out, description = _matches_test_files(frame["name"], config), config.split.test_files
    else:
        by_speaker = len(set(speakers)) > 2 or (len(set(speakers)) == 2 and name == "test")
        groups = speakers if by_speaker else np.arange(len(frame))
        try:
            is_held_out = split_by_group(groups.tolist(), fraction, SPLIT_SEED)
        except ValueError as error:
            raise DataError(
                f"{config.data}: there are too few recordings for a {name} split. Add recordings, or give --{name}-data."
            ) from error
        description = f"{is_held_out.mean():.0%} held out {'by speaker' if by_speaker else 'at random'}"
    if is_held_out.all() or not is_held_out.any():
        raise DataError(f"{config.data}: there are too few speakers for a {name} split. Give --{name}-data.")
    return frame[~is_held_out], frame[is_held_out], description


def _has_test_speaker(speakers: np.ndarray, config: SpeechConfig) -> np.ndarray:
    """Returns a mask of the recordings of the test speakers, after checking that each of them exists."""
    unknown = sorted(set(config.split.test_speakers) - set(speakers))
    if unknown:
        known = ", ".join(sorted(set(speakers))[:MAX_LISTED_SPEAKERS])
        raise DataError(
            f"{config.data}: there is no speaker {unknown[0]}. The speakers are {known}. Change "
            f"{option(config.split, 'test_speakers')}."
        )
    return np.isin(speakers, config.split.test_speakers)


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
    digest = hashlib.sha256(sources.sha256_records(frame[["text", "speaker", "name"]]).encode())
    for path, rows in frame.groupby("cache_file"):
        samples = audio.open_cache(str(path))
        for start, length in zip(rows["start"], rows["length"], strict=True):
            digest.update(samples[start : start + length].tobytes())
    return digest.hexdigest()
