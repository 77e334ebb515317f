"""Labels as people write them: what looks like the same label is named, and unified if an option says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import pandas as pd

from shared.data.notices import add_notice, count_noun
from shared.data.visible import quote
from shared.errors import DataError

LabelMatching = Literal["exact", "trimmed", "caseless"]
MAX_LISTED = 100
MAX_EXAMPLES = 3
MANY_TIMES = 5  # as many labels as texts show that the columns are exchanged
MAX_LABELS_OF_TEXT = 5
MAX_EXAMPLE_LENGTH = 50  # characters
MIN_TEXTS_PER_LABEL = 5  # below it, a label is rare
WHOLE_NUMBER = re.compile(r"[+-]?\d+\.0+|[+-]?\d+")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
SEPARATORS = ",;|/+"
MIN_COMBINATIONS = 2  # different combinations of labels that show a separator


def normalize_numbers(labels: pd.Series) -> pd.Series:
    """Returns labels `(rows,)` without ".0" if all of them are whole numbers, so that 1.0 and 1 are one class."""
    unique = pd.unique(labels)
    if not all(WHOLE_NUMBER.fullmatch(label) for label in unique):
        return labels
    return labels.map({label: label.partition(".")[0] for label in unique})


def match_key(label: str, matching: LabelMatching) -> str:
    """Returns the text that two labels have in common if they match.

    Args:
        label: a label.
        matching: "exact"; "trimmed" ignores whitespace at the ends, repeated whitespace, invisible characters and Unicode forms; "caseless" also
            upper and lower case.
    """
    if matching == "exact":
        return label
    text = " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", label)).split())
    return text.casefold() if matching == "caseless" else text


def unify_labels(
    frames: Mapping[str, pd.DataFrame], matching: LabelMatching, source: str, matching_option: str
) -> dict[str, pd.DataFrame]:
    """Returns tables whose matching labels are one label, the most frequent one without its outer whitespace.

    A notice names labels that look alike, with their counts.

    Args:
        frames: tables with a column `label` of strings, by split name.
        matching: which labels are one (see `match_key`).
        source: file or data set, for the notice.
        matching_option: command-line option of `matching`, for the notice.
    """
    counts = pd.concat(frame["label"] for frame in frames.values()).value_counts()
    names = canonical_labels(counts, matching)
    alike = [group for group in _groups(counts, "caseless") if len(group) > 1]
    if alike:
        remaining = [group for group in alike if len({names[label] for label in group}) > 1]
        listed = "; ".join(
            ", ".join(f"{quote(label)} {counts[label]:,}" for label in group)
            for group in (remaining or alike)[:MAX_LISTED]
        )
        if remaining:
            add_notice(
                f"{source}: labels that look alike are different classes: {listed}.",
                hint=f"Make them one class with {matching_option} caseless, or trimmed for whitespace only.",
            )
        else:
            add_notice(f"{source}: labels that look alike are one class: {listed}.")
    return {name: frame.assign(label=frame["label"].map(names)) for name, frame in frames.items()}


def canonical_labels(counts: pd.Series, matching: LabelMatching) -> dict[str, str]:
    """Returns the label that stands for each label.

    Args:
        counts: number of records by label, most frequent first.
        matching: as in `match_key`.
    """
    names: dict[str, str] = {}
    for group in _groups(counts, matching):
        name = group[0] if matching == "exact" else match_key(group[0], "trimmed")
        names |= dict.fromkeys(group, name)
    return names


def require_texts(frame: pd.DataFrame, source: str, text_option: str, label_option: str) -> None:
    """Checks that the columns of the texts and labels are not exchanged.

    Args:
        frame: columns `text` and `label`, strings.
        source: file or data set, for the message.
        text_option: command-line option of the column with the text, for the message.
        label_option: command-line option of the column with the label, for the message.

    Raises:
        DataError: there are few different texts, and nearly every record has another label.
    """
    texts, labels = frame["text"].nunique(), frame["label"].nunique()
    if texts * MANY_TIMES < labels and labels * 2 > len(frame):
        raise DataError(
            f"{source}: {len(frame):,} records have {count_noun(texts, 'different text')} and {labels:,} different labels. Exchange "
            f"{text_option} and {label_option}, or name other columns."
        )


def notice_duplicates(frame: pd.DataFrame, source: str) -> None:
    """Adds notices on texts that occur several times: with one label, and with different labels.

    Args:
        frame: columns `text` and `label`, strings.
        source: file or data set, for the notice.
    """
    repeated = frame[frame.duplicated("text", keep=False) & (frame["text"].str.strip() != "")]
    if repeated.empty:
        return
    labels = repeated.groupby("text", sort=False)["label"].unique()
    contradictory = labels[labels.map(len) > 1]
    if len(contradictory):
        examples = "; ".join(
            f'"{_shorten(text)}" ({_list_labels(values)})' for text, values in contradictory.iloc[:MAX_EXAMPLES].items()
        )
        add_notice(
            f"{source}: {count_noun(len(contradictory), 'text has', 'texts have')} different labels: {examples}.",
            hint="Correct the labels; no model can learn both.",
        )
    duplicates = int(frame.duplicated(["text", "label"]).sum())
    if duplicates:
        add_notice(
            f"{source}: {count_noun(duplicates, 'record repeats', 'records repeat')} a text with its label; all copies are in the same split."
        )


def notice_rare_labels(labels: pd.Series, source: str) -> None:
    """Adds a notice that lists all labels with few records.

    Args:
        labels: strings `(rows,)`.
        source: file or data set, for the notice.
    """
    counts = labels.value_counts()
    rare = counts[counts < MIN_TEXTS_PER_LABEL].sort_index()
    if len(rare):
        listed = ", ".join(f"{label} {count}" for label, count in rare.iloc[:MAX_LISTED].items())
        more = f" and {len(rare) - MAX_LISTED} more" if len(rare) > MAX_LISTED else ""
        add_notice(
            f"{source}: {len(rare)} of {len(counts)} labels have fewer than {MIN_TEXTS_PER_LABEL} records: {listed}{more}. A model can "
            "hardly learn them, and a label with one record is in the training split only.",
            hint="Add records, or merge or drop these labels.",
        )


def summarize_balance(labels: pd.Series) -> str:
    """Returns the number of different labels, and the most and the least frequent one with their fractions of the records."""
    fractions = labels.value_counts(normalize=True)
    if len(fractions) == 0:
        return "no labels"
    first, last = (f"{fractions.index[k]} {fractions.iloc[k]:.1%}" for k in (0, -1))
    return f"{len(fractions)} labels: from {first} to {last}"


def find_label_separator(labels: pd.Series) -> str | None:
    """Returns the separator of labels that look like several labels, such as "delivery,price"; None if they do not.

    The parts must occur in other combinations or alone, so that "Smith, John" is one label.

    Args:
        labels: strings `(rows,)`.
    """
    unique = pd.unique(labels)
    for separator in SEPARATORS:
        combined = [split_labels(label, separator) for label in unique if separator in label]
        if not combined or any(len(parts) < 2 for parts in combined):
            continue
        single = {label.strip() for label in unique if separator not in label}
        parts = [part for parts in combined for part in parts]
        is_known = all(part in single or parts.count(part) >= MIN_COMBINATIONS for part in parts)
        if is_known and len({*parts, *single}) < len(unique):
            return separator
    return None


def notice_several_labels(labels: pd.Series, source: str, hint: str) -> None:
    """Adds a notice if labels look like several labels (see `find_label_separator`).

    Args:
        labels: strings `(rows,)`.
        source: file or data set, for the notice.
        hint: sentence on the option that separates them, with the placeholder `{separator}`.
    """
    separator = find_label_separator(labels)
    if separator is not None:
        has_several = labels.str.contains(separator, regex=False)
        add_notice(
            f"{source}: {int(has_several.sum()):,} of {len(labels):,} labels look like several labels, such as "
            f'"{labels[has_several].iloc[0]}"; each combination is a class of its own.',
            hint=hint.format(separator=separator),
        )


def split_labels(label: str, separator: str) -> list[str]:
    """Returns the labels that a separator joins, without whitespace around them and without empty ones."""
    return [part.strip() for part in label.split(separator) if part.strip()]


def _groups(counts: pd.Series, matching: LabelMatching) -> list[Sequence[str]]:
    """Returns the labels that match each other, the most frequent one of each group first."""
    groups: dict[str, list[str]] = {}
    for label in counts.index:
        groups.setdefault(match_key(label, matching), []).append(label)
    return list(groups.values())


def _list_labels(labels: Iterable[str]) -> str:
    """Returns the labels of a text, at most `MAX_LABELS_OF_TEXT`."""
    names = sorted(labels)
    more = f" and {len(names) - MAX_LABELS_OF_TEXT} more" if len(names) > MAX_LABELS_OF_TEXT else ""
    return ", ".join(map(_shorten, names[:MAX_LABELS_OF_TEXT])) + more


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_EXAMPLE_LENGTH else f"{line[: MAX_EXAMPLE_LENGTH - 1]}…"
