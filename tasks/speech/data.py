"""Reads recordings and their texts from any source into three splits that have no speaker in common."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files
from shared.data.columns import parse_identifiers
from shared.data.sources import Origin, Splits, load_source, read_split_files, sha256_records
from shared.data.splits import SPLITS, Selection, hold_out, split_by_group
from shared.data.tables import is_table, read_table
from shared.data.tfds import open_tfds, prepare_tfds, require_training_split
from shared.errors import DataError
from tasks.speech import audio, sample
from tasks.speech.config import ColumnsConfig, SpeechConfig
from tasks.speech.features import SAMPLE_RATE
from tasks.speech.model import count_steps

MAX_LISTED = 5  # names in a warning
MAX_LISTED_SPEAKERS = 20
DEFAULT_SPEAKER_COLUMN = "speaker"  # a manifest may lack this column, but not one that the user names
DEFAULT_TEXT_COLUMN = "text"
TEXT_FEATURES = ("text_normalized", "text", "label")  # features of a TensorFlow data set that may hold the text
ARCHIVE_SUFFIX = ".zip"
MANIFEST_FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
TFDS_SPLITS = {
    "train": "train",
    "train_clean100": "train",  # LibriSpeech; its other splits are not used
    "dev_clean": "validation",
    "test_clean": "test",
    "validation": "validation",
    "test": "test",
}


def load(config: SpeechConfig) -> Splits:
    """Reads the recordings and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text`, `speaker` ("" if unknown), `name`, and the place of the samples: `cache_file`, a file of
        16-bit samples at 16 kHz, with the `start` and the `length` of the recording in samples.

    Raises:
        DataError: a manifest or a recording cannot be used, or there are too few.
    """
    frames, origin = load_source(
        config,
        sample=_read_sample,
        files=lambda: read_split_files(config, partial(read, config), digest=""),
        tfds=lambda: _read_tfds(config),
        suffixes=(ARCHIVE_SUFFIX,),
    )
    if "test" in frames and (config.split.test_files or config.split.test_speakers):
        raise DataError(
            f"{config.data}: there is already a test split. Remove {option(config.split, 'test_files')} and "
            f"{option(config.split, 'test_speakers')}."
        )
    frames, descriptions = hold_out(frames, config, config.split, partial(_select, config), "recordings")
    description = origin.split_description or "; ".join(descriptions.values())
    frames["train"] = _without_unusable(frames["train"], "training", config)
    alphabet = set("".join(frames["train"]["text"]))
    frames["validation"] = _without_unusable(frames["validation"], "validation", config, alphabet)
    digest = sha256_records(pd.DataFrame({"part": [_digest(frames[name]) for name in SPLITS]}))
    return Splits(
        **{name: frame.reset_index(drop=True) for name, frame in frames.items()},
        origin=dataclasses.replace(origin, sha256=digest, split_description=description),
        display={
            "cache_file": None,
            "start": None,
            "length": lambda samples: (samples / SAMPLE_RATE).rename("seconds"),
        },
    )


def read(config: SpeechConfig, source: str) -> pd.DataFrame:
    """Reads the recordings of a manifest, or of a folder or .zip file with texts in files or in the file names.

    Returns:
        Table with the columns that `load` describes.

    Raises:
        DataError: a text or a recording is missing or cannot be read; the message names the row or the file.
    """
    path = Path(source).expanduser()
    if _is_folder_or_archive(source):
        folder, frame = audio.Folder(path), _read_folder(path, config.columns)
        places = [f"{path}, {name}" for name in frame["name"]]
    else:
        frame = _read_manifest(config.columns, source)
        folder = audio.Folder(_recordings_of(path, config))
        places = [f"{path}, row {row}" for row in range(1, len(frame) + 1)]
    for name, text, place in zip(frame["name"], frame["text"], places, strict=True):
        folder.require(name, place)
        if not text:
            raise DataError(f"{place}: the text is empty. Write what the speaker says, or leave the recording out.")
    key = [str(folder.path.resolve()), *((name, *folder.fingerprint(name)) for name in frame["name"])]
    recordings = (folder.read(name, place) for name, place in zip(frame["name"], places, strict=True))
    return _with_places(frame, *audio.cache_recordings(key, recordings))


def list_recordings(config: SpeechConfig, source: str) -> list[str]:
    """Returns the paths of the recordings of a manifest, folder or .zip file, or the lines of any other text file.

    Texts are not needed. A recording in a .zip file has a path such as calls.zip/a.wav.

    Raises:
        DataError: the source cannot be read, lacks the column with the files, has no recording, or names one that is missing.
    """
    path = Path(source).expanduser()
    if _is_folder_or_archive(source):
        files.require_file(path)
        return [str(path / name) for name in _recording_names(audio.Folder(path))]
    if not is_table(source, config.columns.file):
        lines = [line.strip() for line in files.read_text(path).splitlines()]
        if not any(lines):
            raise DataError(f"{path}: the file has no paths. Write the path of one recording per line.")
        return [line for line in lines if line]
    columns = config.columns
    table = read_table(source, [columns.file], options={columns.file: option(columns, "file")})
    names = parse_identifiers(table[columns.file], source)
    folder = audio.Folder(_recordings_of(path, config))
    for row, name in enumerate(names, 1):
        folder.require(name, f"{path}, row {row}")
    return [str(folder.path / name) for name in names]


def _with_places(frame: pd.DataFrame, cache_file: Path, lengths: np.ndarray) -> pd.DataFrame:
    return frame.assign(cache_file=str(cache_file), start=np.cumsum(lengths) - lengths, length=lengths)


def _is_folder_or_archive(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() == ARCHIVE_SUFFIX


def _read_sample() -> tuple[dict[str, pd.DataFrame], Origin]:
    return sample.split(), Origin.of_sample(sample.LOCATION, "", "different voices in each split", sample.LICENCE)


def _read_manifest(columns: ColumnsConfig, source: str) -> pd.DataFrame:
    options = {
        getattr(columns, name): option(columns, name)
        for name in ("speaker", "text", "file")
        if getattr(columns, name) is not None
    }
    required = [columns.file, columns.text]
    optional: list[str] = []
    if columns.speaker is not None:
        (optional if columns.speaker == DEFAULT_SPEAKER_COLUMN else required).append(columns.speaker)
    table = read_table(source, list(dict.fromkeys(required)), optional, options)
    has_speaker = columns.speaker in table.columns
    return pd.DataFrame(
        {
            "text": [
                _normalize_spaces(value) for value in parse_identifiers(table[columns.text], source, allow_empty=True)
            ],
            "speaker": parse_identifiers(table[columns.speaker], source, allow_empty=True) if has_speaker else "",
            "name": parse_identifiers(table[columns.file], source),
        }
    )


def _recordings_of(manifest: Path, config: SpeechConfig) -> Path:
    """Returns the folder or .zip file with the recordings of a manifest."""
    if config.recordings:
        path = Path(config.recordings).expanduser()
        files.require_file(path)
        return path
    archive = manifest.with_name(manifest.name.split(".")[0] + ARCHIVE_SUFFIX)
    return archive if archive.is_file() else manifest.parent


def _recording_names(folder: audio.Folder) -> list[str]:
    names = folder.names()
    if not names:
        raise DataError(f"{folder.path}: there are no recordings. Their names must end in {', '.join(audio.SUFFIXES)}.")
    return names


def _read_folder(path: Path, columns: ColumnsConfig) -> pd.DataFrame:
    """Returns the texts of the recordings in a folder or .zip file: from their names, from a .txt file beside each recording, or
    from the .trans.txt files of LibriSpeech."""
    files.require_file(path)
    folder = audio.Folder(path)
    names = _recording_names(folder)
    if columns.file_pattern:
        return pd.DataFrame([_parse_name(name, columns, path) for name in names])
    if folder.archive is not None:
        raise DataError(
            f"{path}: the texts of the recordings are unknown. Give a manifest as --data, or the meaning of the file names, such "
            f"as {option(columns, 'file_pattern')} {{text}}_{{speaker}}."
        )
    transcripts: dict[str, str] = {}
    for listing in path.rglob("*.trans.txt"):
        for line in files.read_text(listing).splitlines():
            name, _, words = line.partition(" ")
            transcripts[name] = words
    rows = []
    for name in names:
        file = path / name
        text_file = file.with_suffix(".txt")
        text = transcripts.get(file.stem) or (files.read_text(text_file) if text_file.is_file() else None)
        if text is None:
            raise DataError(
                f"{file}: the text of the recording is unknown. Write it to {text_file.name} in the same folder, give a manifest "
                f"as --data, or the meaning of the file names, such as {option(columns, 'file_pattern')} {{text}}_{{speaker}}."
            )
        speaker = (
            file.parent.parent.name if file.stem in transcripts else ""
        )  # speaker/chapter/recording in LibriSpeech
        rows.append({"text": _normalize_spaces(text), "speaker": speaker, "name": name})
    return pd.DataFrame(rows)


def _parse_name(name: str, columns: ColumnsConfig, path: Path) -> dict[str, str]:
    """Returns text and speaker from the file name of a recording, with a pattern such as {text}_{speaker}_{take}."""
    pattern = str(columns.file_pattern)
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(f"(?P<{part}>.+?)" if k % 2 else re.escape(part) for k, part in enumerate(parts))
    match = re.fullmatch(expression, Path(name).stem)
    if match is None:
        raise DataError(
            f"{path}, {name}: the file name does not match {option(columns, 'file_pattern')} {pattern}. Rename the file, or change "
            "the pattern."
        )
    values = match.groupdict()
    return {"text": _normalize_spaces(values["text"]), "speaker": values.get("speaker", ""), "name": name}


def _normalize_spaces(text: Any) -> str:
    """Returns a text with one space between two words, and none at its ends."""
    return " ".join(str(text).split())


def _read_tfds(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Reads the splits of a TensorFlow data set with audio, and with a text or a class for each recording."""
    builder = open_tfds(config.data)
    features = builder.info.features
    audio_feature = next((name for name, kind in features.items() if type(kind).__name__ == "Audio"), None)
    requested = () if config.columns.text == DEFAULT_TEXT_COLUMN else (config.columns.text,)
    text_feature = next((name for name in (*requested, *TEXT_FEATURES) if name in features), None)
    if audio_feature is None or text_feature is None:
        raise DataError(
            f"{config.data}: the data set needs a feature with audio and one with a text or class. Its features are "
            f"{', '.join(features)}. Name the one with the text with {option(config.columns, 'text')}."
        )
    prepare_tfds(builder, config.data)
    rate = getattr(features[audio_feature], "sample_rate", None) or SAMPLE_RATE
    frames: dict[str, pd.DataFrame] = {}
    for split in builder.info.splits:
        if split not in TFDS_SPLITS:
            continue
        rows: list[dict[str, str]] = []
        recordings = _tfds_recordings(builder, split, audio_feature, text_feature, rate, rows)
        key = (builder.info.full_name, str(builder.data_dir), split, audio_feature)
        cache_file, lengths = audio.cache_recordings(key, recordings)
        if not rows:  # the recordings were already cached
            examples = enumerate(_tfds_examples(builder, split, audio_feature))
            rows = [_parse_example(example, features, text_feature, k) for k, example in examples]
        frame = _with_places(pd.DataFrame(rows), cache_file, lengths)
        is_class_without_word = frame["text"].str.match("_.*_$")  # _silence_ and _unknown_ of speech_commands
        frames[TFDS_SPLITS[split]] = frame[~is_class_without_word]
    require_training_split(config.data, frames, builder.info.splits)
    return frames, Origin.of_tfds(builder.info, digest="")


def _tfds_examples(builder: Any, split: str, skipped_feature: str | None = None) -> Iterator[Mapping[str, Any]]:
    import tensorflow_datasets as tfds

    decoders = {skipped_feature: tfds.decode.SkipDecoding()} if skipped_feature else None
    return iter(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)))


def _tfds_recordings(
    builder: Any, split: str, audio_feature: str, text_feature: str, rate: int, rows: list[dict[str, str]]
) -> Iterator[np.ndarray]:
    """Yields the samples of each recording of a split, and appends its text, speaker and name to `rows`."""
    for k, example in enumerate(_tfds_examples(builder, split)):
        row = _parse_example(example, builder.info.features, text_feature, k)
        rows.append(row)
        yield audio.convert_samples(np.asarray(example[audio_feature]), rate, f"{builder.info.name}, {row['name']}")


def _parse_example(example: Mapping[str, Any], features: Any, text_feature: str, index: int) -> dict[str, str]:
    """Returns text, speaker and name of an example of a TensorFlow data set."""
    class_names = getattr(features[text_feature], "names", None)
    value = example[text_feature]
    text = class_names[int(value)] if class_names else value.decode("utf-8", errors="replace")
    name = next((example[key] for key in ("audio/filename", "id") if key in example), str(index))
    name = name.decode() if isinstance(name, bytes) else str(name)
    speaker = example.get("speaker_id", "")
    if "audio/filename" in example:  # spoken_digit: 7_jackson_32.wav
        speaker = name.split("_")[1] if name.count("_") >= 2 else ""
    return {"text": _normalize_spaces(text), "speaker": str(speaker), "name": name}


def _without_unusable(
    frame: pd.DataFrame, split: str, config: SpeechConfig, alphabet: set[str] | None = None
) -> pd.DataFrame:
    """Removes recordings that are too long, too short for their text, or whose text has characters outside the alphabet; a warning
    names them."""
    length = frame["length"].to_numpy()
    texts = frame["text"].tolist()
    min_steps = np.array([len(text) + sum(a == b for a, b in pairwise(text)) for text in texts])
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
