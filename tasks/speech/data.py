"""Recordings and what was said in them, from any source, whole speakers kept apart between the splits."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared import files, sources
from shared.columns import parse_identifiers
from shared.errors import DataError
from shared.pipelines import split_by_group
from shared.sources import Origin, Splits
from tasks.speech import audio, sample
from tasks.speech.config import SpeechConfig
from tasks.speech.features import RATE
from tasks.speech.model import steps_of

SPLIT_SEED = 1  # not the training seed: runs of several seeds are judged on one split
LISTED = 5  # rows that a warning names
SPEAKER = "speaker"
SPOKEN = ("text_normalized", "text", "label")  # features of a TensorFlow data set that tell what is said


def load(config: SpeechConfig) -> Splits:
    """Reads the recordings and parts them into training, validation and test.

    Returns:
        Splits with columns `text`, `speaker` ("" where not known), `name`, and where the samples are: `store`, a file of 16-bit
        samples at 16 kHz, `start` and `length` in it.

    Raises:
        DataError: a manifest or a recording cannot be used, or there are too few.
    """
    source = config.data
    own = source != "sample" and (sources.is_path(source) or _is_recordings(source))
    sources.reject_split_files(config, own)
    if source == "sample":
        parts, origin = sample.split(), Origin("sample", sample.LOCATION, "", sample.LICENCE, "")
        told = ["whole voices"]
    elif own:
        given = {"train": source, "validation": config.validation_data, "test": config.test_data}
        parts = {name: read(config, path) for name, path in given.items() if path}
        paths = [Path(path).expanduser().resolve() for path in given.values() if path]
        location = ", ".join(path.name for path in paths)
        origin = Origin(paths[0].parent.name, location, "", sources.USER_FILE_LICENCE, "")
        told = [f"{name} as given" for name in parts if name != "train"]
    else:
        parts, origin = _tfds(config)
        told = [f"{name} of the data set" for name in parts if name != "train"]
    if "test" in parts and (config.audio.test_names or config.audio.test_speakers):
        raise DataError(f"{source}: has a test split. Leave --audio.test-names and --audio.test-speakers out.")
    for name, share in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name not in parts:
            parts["train"], parts[name], how = _kept_back(parts["train"], share, name, config)
            told.append(f"{name} {how}")
    parts["train"] = _learnable(parts["train"], "train", config)
    parts["validation"] = _learnable(parts["validation"], "validation", config, set("".join(parts["train"]["text"])))
    digest = sources.sha256_records(
        pd.DataFrame({"part": [_digest(parts[name]) for name in ("train", "validation", "test")]})
    )
    return Splits(
        **{name: part.reset_index(drop=True) for name, part in parts.items()},
        origin=Origin(origin.name, origin.location, digest, origin.licence, "; ".join(told)),
        display={"store": None, "start": None, "length": lambda samples: (samples / RATE).rename("seconds")},
    )


def read(config: SpeechConfig, source: str) -> pd.DataFrame:
    """Reads a manifest, or a folder or .zip file of recordings whose texts stand beside them or in their names.

    Raises:
        DataError: something is missing, or a recording cannot be read; the row or the name is told.
    """
    path = Path(source).expanduser()
    if _is_recordings(source):
        folder, frame = audio.Folder(path), _of_names(path, config)
        places = [f"{path}, {name}" for name in frame["name"]]
    else:
        frame = _manifest(config, source)
        folder = audio.Folder(_recordings(path, config))
        places = [f"{path}, row {row}" for row in range(1, len(frame) + 1)]
    for name, text, place in zip(frame["name"], frame["text"], places, strict=True):
        folder.require(name, place)
        if not text:
            raise DataError(f"{place}: says nothing. Write what was said, or leave the recording out.")
    key = [str(folder.path.resolve()), *((name, *folder.stamp(name)) for name in frame["name"])]
    make = (folder.read(name, place) for name, place in zip(frame["name"], places, strict=True))
    return _placed(frame, *audio.kept(key, make))


def _placed(frame: pd.DataFrame, store: Path, lengths: np.ndarray) -> pd.DataFrame:
    return frame.assign(store=str(store), start=np.cumsum(lengths) - lengths, length=lengths)


def _is_recordings(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() == ".zip"


def _manifest(config: SpeechConfig, source: str) -> pd.DataFrame:
    columns, table = config.audio, sources.read_all(source)
    missing = [name for name in (columns.file, columns.text) if name not in table.columns]
    if missing:
        raise DataError(
            f'{source}: no column "{missing[0]}". It has {", ".join(table.columns)}; name yours with --audio.file and '
            "--audio.text."
        )
    speaker = columns.speaker if columns.speaker in table.columns else None
    if speaker is None and columns.speaker not in (None, SPEAKER):
        raise DataError(f'{source}: no column "{columns.speaker}". It has {", ".join(table.columns)}.')
    return pd.DataFrame(
        {
            "text": [_tidy(value) for value in parse_identifiers(table[columns.text], source, allow_empty=True)],
            "speaker": parse_identifiers(table[speaker], source, allow_empty=True) if speaker else "",
            "name": parse_identifiers(table[columns.file], source),
        }
    )


def _recordings(manifest: Path, config: SpeechConfig) -> Path:
    if config.audio.recordings:
        path = Path(config.audio.recordings).expanduser()
        files.require_file(path)
        return path
    beside = manifest.with_name(manifest.name.split(".")[0] + ".zip")
    return beside if beside.is_file() else manifest.parent


def _of_names(path: Path, config: SpeechConfig) -> pd.DataFrame:
    """Returns what a folder's recordings say: by their names, by a .txt file beside each, or by LibriSpeech's .trans.txt."""
    files.require_file(path)
    folder = audio.Folder(path)
    names = folder.names()
    if not names:
        raise DataError(f"{path}: holds no recording. Their names should end in {', '.join(audio.KINDS)}.")
    if config.audio.names:
        return pd.DataFrame([_parsed(name, config.audio.names, path) for name in names])
    if folder.archive is not None:
        raise DataError(
            f"{path}: give a manifest as --data, or say what the names mean, such as --audio.names {{text}}_{{take}}."
        )
    said: dict[str, str] = {}
    for listing in path.rglob("*.trans.txt"):
        for line in files.read_text(listing).splitlines():
            name, _, words = line.partition(" ")
            said[name] = words
    rows = []
    for name in names:
        file = path / name
        beside = file.with_suffix(".txt")
        text = said.get(file.stem) or (files.read_text(beside) if beside.is_file() else None)
        if text is None:
            raise DataError(
                f"{file}: nothing tells what is said in it. Put {beside.name} beside it, give a manifest as --data, or say "
                "what the names mean, such as --audio.names {text}_{take}."
            )
        speaker = file.parent.parent.name if file.stem in said else ""  # LibriSpeech: speaker/chapter/recording
        rows.append({"text": _tidy(text), "speaker": speaker, "name": name})
    return pd.DataFrame(rows)


def _parsed(name: str, pattern: str, path: Path) -> dict[str, str]:
    """Returns what a recording's name says by a pattern such as {text}_{speaker}_{take}."""
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(f"(?P<{part}>.+?)" if k % 2 else re.escape(part) for k, part in enumerate(parts))
    found = re.fullmatch(expression, Path(name).stem)
    if found is None:
        raise DataError(f"{path}, {name}: is not named as --audio.names {pattern} says.")
    said = found.groupdict()
    return {"text": _tidy(said["text"]), "speaker": said.get(SPEAKER, ""), "name": name}


def _tidy(text: Any) -> str:
    """Returns what was said with single blanks between the words."""
    return " ".join(str(text).split())


def _tfds(config: SpeechConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Returns the splits of a TensorFlow data set with sound, and a text or a class for each."""
    builder = sources.open_tfds(config.data)
    features = builder.info.features
    sound = next((name for name, kind in features.items() if type(kind).__name__ == "Audio"), None)
    asked = () if config.audio.text == "text" else (config.audio.text,)
    text = next((name for name in (*asked, *SPOKEN) if name in features), None)
    if sound is None or text is None:
        raise DataError(
            f"{config.data}: needs a feature of sound and one of text or class; it has {', '.join(features)}. Name the text's "
            "with --audio.text."
        )
    sources.prepare_tfds(builder, config.data)
    rate = getattr(features[sound], "sample_rate", None) or RATE
    parts: dict[str, pd.DataFrame] = {}
    for split in builder.info.splits:
        kind = _kind_of_split(split)
        if kind is None:
            continue
        rows: list[dict[str, str]] = []
        make = _sounds(builder, split, sound, text, rate, rows)
        store, lengths = audio.kept((builder.info.full_name, str(builder.data_dir), split, sound), make)
        if not rows:  # the sounds were kept before
            rows = [_said(example, features, text, k) for k, example in enumerate(_examples(builder, split, sound))]
        placed = _placed(pd.DataFrame(rows), store, lengths)
        parts[kind] = placed[
            ~placed["text"].str.match("_.*_$")
        ]  # speech_commands: _silence_ and _unknown_ are no words
    if "train" not in parts:
        raise DataError(f"{config.data}: has no split called train, but {', '.join(builder.info.splits)}.")
    info = builder.info
    return parts, Origin(info.name, info.full_name, "", info.redistribution_info.license or "not stated", "")


def _kind_of_split(name: str) -> str | None:
    """Returns which split a data set's own is: LibriSpeech's dev_clean chooses, its other ones are left out."""
    known = {"train": "train", "train_clean100": "train", "dev_clean": "validation", "test_clean": "test"}
    return known.get(name, name if name in ("validation", "test") else None)


def _examples(builder: Any, split: str, skipped: str | None = None) -> Iterator[Mapping[str, Any]]:
    import tensorflow_datasets as tfds

    decoders = {skipped: tfds.decode.SkipDecoding()} if skipped else None
    return iter(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)))


def _sounds(
    builder: Any, split: str, sound: str, text: str, rate: int, rows: list[dict[str, str]]
) -> Iterator[np.ndarray]:
    """Yields the samples of a split, and notes what is said in each."""
    for k, example in enumerate(_examples(builder, split)):
        row = _said(example, builder.info.features, text, k)
        rows.append(row)
        yield audio.at_rate(np.asarray(example[sound]), rate, f"{builder.info.name}, {row['name']}")


def _said(example: Mapping[str, Any], features: Any, text: str, number: int) -> dict[str, str]:
    """Returns text, speaker and name of an example."""
    names = getattr(features[text], "names", None)
    value = example[text]
    said = names[int(value)] if names else value.decode("utf-8", errors="replace")
    name = next((example[key] for key in ("audio/filename", "id") if key in example), str(number))
    name = name.decode() if isinstance(name, bytes) else str(name)
    speaker = example.get("speaker_id", "")
    if "audio/filename" in example:  # spoken_digit: 7_jackson_32.wav
        speaker = name.split("_")[1] if name.count("_") >= 2 else ""
    return {"text": _tidy(said), "speaker": str(speaker), "name": name}


def _learnable(frame: pd.DataFrame, split: str, config: SpeechConfig, alphabet: set[str] | None = None) -> pd.DataFrame:
    """Leaves out what has no loss, with a warning: recordings too long, too short for what is said in them, or with a sign that
    is not in the alphabet."""
    steps, length = steps_of(frame["length"].to_numpy()), frame["length"].to_numpy()
    texts = frame["text"].tolist()
    needed = np.array([len(text) + sum(a == b for a, b in pairwise(text)) for text in texts])
    reasons = {
        f"longer than {config.audio.longest:g} seconds": length > config.audio.longest * RATE,
        "too short for what is said in them": steps < needed,
    }
    if alphabet is not None:
        reasons["of signs that training never has"] = np.array([not set(text) <= alphabet for text in texts])
    left = np.ones(len(frame), bool)
    for reason, rows in reasons.items():
        if rows.any():
            names = frame["name"][rows].tolist()
            logging.getLogger(__name__).warning(
                "%s: %d recordings of %s are %s and are left out: %s%s.",
                config.data,
                rows.sum(),
                split,
                reason,
                ", ".join(names[:LISTED]),
                " …" if len(names) > LISTED else "",
            )
            left &= ~rows
    if not left.any():
        raise DataError(f"{config.data}: no recording is left for {split}.")
    return frame[left]


def _kept_back(
    frame: pd.DataFrame, share: float, name: str, config: SpeechConfig
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Returns what is left to train on, what is kept back, and how it was chosen."""
    speakers = frame["speaker"].to_numpy()
    if name == "test" and config.audio.test_speakers:
        unknown = sorted(set(config.audio.test_speakers) - set(speakers))
        if unknown:
            raise DataError(
                f"{config.data}: no speaker {unknown[0]}. There are {', '.join(sorted(set(speakers))[:20])}."
            )
        chosen, how = np.isin(speakers, config.audio.test_speakers), ", ".join(config.audio.test_speakers)
    elif name == "test" and config.audio.test_names:
        pattern = config.audio.test_names
        chosen, how = np.array([fnmatchcase(one, pattern) for one in frame["name"]]), pattern
        if chosen.all() or not chosen.any():
            which = "all recordings" if chosen.any() else "no recording"
            raise DataError(
                f"{config.data}: --audio.test-names {pattern} takes {which}. One is named {frame['name'].iloc[0]}."
            )
    else:
        several = len(set(speakers)) > 2 or (len(set(speakers)) == 2 and name == "test")
        groups = speakers if several else np.arange(len(frame))
        try:
            chosen = split_by_group(groups.tolist(), share, SPLIT_SEED)
        except ValueError as error:
            raise DataError(f"{config.data}: too few recordings to keep some back for {name}. Give more.") from error
        how = f"{chosen.mean():.0%}, {'whole speakers' if several else 'drawn at random'}"
    if chosen.all() or not chosen.any():
        raise DataError(f"{config.data}: too few speakers to keep some back for {name}. Give --{name}-data.")
    return frame[~chosen], frame[chosen], how


def _digest(frame: pd.DataFrame) -> str:
    """Returns the SHA-256 of what is said and of the samples."""
    import hashlib

    digest = hashlib.sha256(sources.sha256_records(frame[["text", "speaker", "name"]]).encode())
    for store, rows in frame.groupby("store"):
        samples = audio.opened(str(store))
        for start, length in zip(rows["start"], rows["length"], strict=True):
            digest.update(samples[start : start + length].tobytes())
    return digest.hexdigest()
