"""Reads recordings and their texts from any source into three splits that have no speaker in common."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files, sources
from shared.data.columns import parse_identifiers
from shared.data.pipelines import split_by_group
from shared.data.sources import Origin, Splits
from shared.decoding.ctc_symbols import count_min_steps
from shared.errors import DataError
from tasks.speech import audio, sample
from tasks.speech.config import ColumnsConfig, SpeechConfig
from tasks.speech.features import SAMPLE_RATE
from tasks.speech.model import count_steps

SPLIT_SEED = 1  # independent of the training seed, so that runs with several seeds have the same test split
MAX_LISTED = 5  # names in a warning
MAX_LISTED_SPEAKERS = 20
DEFAULT_SPEAKER_COLUMN = "speaker"  # a manifest may lack this column, but not one that the user names
DEFAULT_TEXT_COLUMN = "text"
TEXT_FEATURES = ("text_normalized", "text", "label")  # features of a TensorFlow data set that may hold the text
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
    source = config.data
    has_user_files = source != "sample" and (sources.is_path(source) or _is_folder_or_archive(source))
    sources.reject_split_files(config, has_user_files)
    if source == "sample":
        frames, origin = sample.split(), Origin("sample", sample.LOCATION, "", sample.LICENCE, "")
        descriptions = ["different voices in each split"]
    elif has_user_files:
        frames, origin = _load_files(config)
        descriptions = [f"{name} from {Path(_split_files(config)[name]).name}" for name in frames if name != "train"]
    else:
        frames, origin = _load_tfds(config)
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
    if not sources.is_table(source, config.columns.file):
        lines = [line.strip() for line in files.read_text(path).splitlines()]
        if not any(lines):
            raise DataError(f"{path}: the file has no paths. Write the path of one recording per line.")
        return [line for line in lines if line]
    columns = config.columns
    table = sources.read_table(source, [columns.file], options={columns.file: option(columns, "file")})
    names = parse_identifiers(table[columns.file], source)
    folder = audio.Folder(_recordings_of(path, config))
    for row, name in enumerate(names, 1):
        folder.require(name, f"{path}, row {row}")
    return [str(folder.path / name) for name in names]


def _with_places(frame: pd.DataFrame, cache_file: Path, lengths: np.ndarray) -> pd.DataFrame:
    return frame.assign(cache_file=str(cache_file), start=np.cumsum(lengths) - lengths, length=lengths)


def _is_folder_or_archive(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() == ".zip"


def _split_files(config: SpeechConfig) -> dict[str, str]:
    """Returns the sources of the splits that the user gives as files."""
    paths = {"train": config.data, "validation": config.validation_data, "test": config.test_data}
    return {name: path for name, path in paths.items() if path}


def _load_files(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    frames = {name: read(config, path) for name, path in _split_files(config).items()}
    paths = [Path(path).expanduser().resolve() for path in _split_files(config).values()]
    location = ", ".join(path.name for path in paths)
    return frames, Origin(paths[0].parent.name, location, "", sources.USER_FILE_LICENCE, "")


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
    table = sources.read_table(source, list(dict.fromkeys(required)), optional, options)
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
    archive = manifest.with_name(manifest.name.split(".")[0] + ".zip")
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


def _load_tfds(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Reads the splits of a TensorFlow data set with audio, and with a text or a class for each recording."""
    builder = sources.open_tfds(config.data)
    features = builder.info.features
    audio_feature = next((name for name, kind in features.items() if type(kind).__name__ == "Audio"), None)
    requested = () if config.columns.text == DEFAULT_TEXT_COLUMN else (config.columns.text,)
    text_feature = next((name for name in (*requested, *TEXT_FEATURES) if name in features), None)
    if audio_feature is None or text_feature is None:
        raise DataError(
            f"{config.data}: the data set needs a feature with audio and one with a text or class. Its features are "
            f"{', '.join(features)}. Name the one with the text with {option(config.columns, 'text')}."
        )
    sources.prepare_tfds(builder, config.data)
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
    if "train" not in frames:
        raise DataError(f'{config.data}: there is no split "train". The splits are {", ".join(builder.info.splits)}.')
    info = builder.info
    return frames, Origin(info.name, info.full_name, "", info.redistribution_info.license or "not stated", "")


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
