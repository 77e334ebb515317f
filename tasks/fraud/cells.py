"""Conversion of the cells of a table of transactions: identifiers, categories and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.data.columns import parse_identifiers, raise_where, raise_where_empty
from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.fraud.transaction_index import UNKNOWN_LABEL

EMPTY_TEXTS = ("", "null", "nan", "nat", "na", "n/a", "none", "<na>")
"""Texts that count as an empty cell; upper and lower case are equal."""
FRAUD_LABELS = (
    *("1", "true", "t", "yes", "y", "fraud", "fraudulent", "illicit"),
    *("ja", "oui", "si", "sí", "sim", "wahr", "vrai", "verdadero", "fraude"),
)
GENUINE_LABELS = (
    *("0", "false", "f", "no", "n", "genuine", "legit", "legitimate", "normal", "licit", "nonfraud", "non fraud"),
    *("not fraud", "no fraud", "non fraudulent", "not fraudulent", "nein", "non", "não", "falsch", "faux", "falso"),
)
UNKNOWN_LABELS = ("unknown", "unlabelled", "unlabeled", "pending", "undetermined", "undecided", "?")
"""Texts that mean that a label is not known, unless the user names them as labels of fraud."""
NEGATIVE = "-1"
"""Genuine where the other label is 1; where there is a 0 too, it may stand for an unknown label."""
SEPARATOR = " | "
"""Joins the parts of an identifier of several columns; a bar within a part is doubled, so that no two identifiers become one."""
EXACT_INTEGERS = {"float16": 2**11, "float32": 2**24}
"""Largest number up to which a floating-point type holds all integers; 2**53 for float64."""
LOST_DIGITS = re.compile(r"\d(?:[.,]\d+)?[Ee]\+\d+|\d{17,}\.0")
"""Identifiers such as 4.53202E+15 and 45320151128303661.0 in a text table."""
WORD_MARK = re.compile(r"(?<=\w)[-_]\s*(?=\w)")  # within "non-fraud" and "not_fraud", not in "-1"
MAX_LISTED_LABELS = 8
POSITIVE_OPTION, UNLABELLED_OPTION = "--columns.positive-label", "--columns.unlabelled"


def parse_keys(frame: pd.DataFrame, names: Sequence[str], source: str, allow_empty: bool = False) -> np.ndarray:
    """Returns the identifiers of cards or terminals as text, object `(rows,)`; those of several columns are joined.

    Quotes, spaces and ".0" around an identifier are removed, and said so. An empty part of an identifier of several columns counts as a
    value of its own, with a notice. With `allow_empty`, an identifier of which a part is empty is "".

    Raises:
        DataError: an identifier is empty, or its column cannot hold all its digits.
    """
    parts: list[np.ndarray] = []
    for name in names:
        values = frame[name]
        _require_all_digits(values, source)
        part = parse_categories(values, source)
        is_empty = pd.Series(part).str.casefold().isin(EMPTY_TEXTS).to_numpy()
        if not allow_empty and len(names) == 1:
            raise_where_empty(is_empty, values, source)
        parts.append(np.where(is_empty, "", part))
    if len(parts) == 1:
        return parts[0].astype(object)
    are_empty = np.array([part == "" for part in parts])
    is_empty = are_empty.any(axis=0)
    if not allow_empty:
        raise_where_empty(are_empty.all(axis=0), frame[names[0]], source)
        if is_empty.any():
            listed = ", ".join(name for name, empty in zip(names, are_empty, strict=True) if empty.any())
            add_notice(
                f"{source}: {is_empty.sum():,} rows have an empty part of the identifier {' '.join(names)} ({listed}). It counts as a "
                "value of its own.",
                np.flatnonzero(is_empty) + 1,
            )
        is_empty = np.zeros(len(frame), bool)
    joined = pd.Series(parts[0]).str.replace("|", "||", regex=False)
    for part in parts[1:]:
        joined = joined + SEPARATOR + pd.Series(part).str.replace("|", "||", regex=False)
    return np.where(is_empty, "", joined.to_numpy(object)).astype(object)


def parse_categories(values: pd.Series, source: str) -> np.ndarray:
    """Returns categories as text, object `(rows,)`, without the quotes, spaces and ".0" around them; "" for an empty cell."""
    codes, unique = pd.factorize(values.astype(object))
    text = parse_identifiers(pd.Series(unique, dtype=object), source, allow_empty=True)
    clean = np.array([_clean(value) for value in text], object)
    is_changed = np.append(np.array([old != new for old, new in zip(text, clean, strict=True)], bool), False)[codes]
    if is_changed.any():
        rows = np.flatnonzero(is_changed)
        add_notice(
            f'{source}: column "{values.name}" has quotes, spaces or ".0" around the values of {len(rows):,} rows, such as '
            f'"{values.iloc[rows[0]]}". They are removed.',
            rows + 1,
        )
    return np.append(clean, "")[codes]


def parse_labels(
    values: pd.Series, source: str, positive: Sequence[str] = (), unlabelled: Sequence[str] = ()
) -> np.ndarray:
    """Returns 1 for fraud, 0 for genuine, and -1 where the label is empty or `unlabelled`, int8 `(rows,)`.

    Args:
        values: column of labels.
        source: file, for messages.
        positive: labels of fraud; all others are genuine. Empty for `FRAUD_LABELS` and `GENUINE_LABELS`.
        unlabelled: values that stand for an unknown label.

    Raises:
        DataError: a label cannot be interpreted; the message lists the labels and names the option.
    """
    codes, unique = pd.factorize(values.astype(object).where(values.notna(), ""))
    names = [_normalize_label(value) for value in unique]
    fraud = {*map(_normalize_label, positive)} or {*FRAUD_LABELS}
    unknown = {*EMPTY_TEXTS, *UNKNOWN_LABELS} - fraud | {*map(_normalize_label, unlabelled)}
    genuine = {*names} - fraud if positive else {*GENUINE_LABELS}
    if not positive and "0" not in names:
        genuine.add(NEGATIVE)
    kinds = [UNKNOWN_LABEL if n in unknown else 1 if n in fraud else 0 if n in genuine else 2 for n in names]
    labels = np.array(kinds, np.int8)[codes]
    expected = "expected 0 or 1, N or Y, false or true, genuine or fraud"
    fix = f"Name the label of fraud with {POSITIVE_OPTION}, and labels that mean unknown with {UNLABELLED_OPTION}"
    counts = ", ".join(f'"{value}" {count:,}' for value, count in _count(values).items())
    raise_where(labels == 2, values, source, f"{expected}. The labels are {counts}. {fix}")
    return labels


def label_names(values: pd.Series) -> set[str]:
    """Returns the distinct labels of a column as `parse_labels` compares them."""
    return {_normalize_label(value) for value in values.dropna().unique()}


def require_one_meaning(names: set[str], column: str, source: str) -> None:
    """Checks the labels of a file that is read in parts, because `parse_labels` takes -1 for genuine only in a part without 0.

    Args:
        names: labels of all parts so far, from `label_names`.
        column: name of the column.
        source: file, for the message.

    Raises:
        DataError: there are both 0 and -1.
    """
    if {"0", NEGATIVE} <= names:
        raise DataError(
            f'{source}: column "{column}" has both 0 and -1. Name the label of fraud with {POSITIVE_OPTION}, and labels that mean '
            f"unknown with {UNLABELLED_OPTION}."
        )


def check_labels(labels: np.ndarray, values: pd.Series, source: str, positive: Sequence[str]) -> None:
    """Checks the labels of a whole file from `parse_labels`, and notices which rows have none and which class is larger.

    Raises:
        DataError: no row has a label, or none has a label that `positive` names.
    """
    is_unknown = labels == UNKNOWN_LABEL
    counts = ", ".join(f'"{value}" {count:,}' for value, count in _count(values).items())
    if is_unknown.all():
        raise DataError(
            f'{source}: column "{values.name}" has no label of fraud or genuine. Its values are {counts}. Fill in labels.'
        )
    if positive and not (labels == 1).any():
        raise DataError(
            f'{source}: no row of column "{values.name}" is {" or ".join(positive)}. Its values are {counts}. Name the label of '
            f"fraud with {POSITIVE_OPTION}."
        )
    if is_unknown.any():
        add_notice(
            f'{source}: {is_unknown.sum():,} of {len(labels):,} rows have no label in column "{values.name}"{_quote(values[is_unknown])}. They are history of '
            "their cards, and are neither trained nor scored.",
            np.flatnonzero(is_unknown) + 1,
        )
    others = values[labels == 0].astype(str).value_counts()
    if positive and len(others) > 1:
        listed = ", ".join(f'"{value}" {count:,}' for value, count in others.head(MAX_LISTED_LABELS).items())
        add_notice(
            f'{source}: column "{values.name}" has several labels that count as genuine: {listed}.',
            hint=f"Name labels that mean fraud with {POSITIVE_OPTION}, and those that mean unknown with {UNLABELLED_OPTION}.",
        )
    known = labels[~is_unknown]
    if known.mean() > 0.5:
        add_notice(
            f'{source}: {known.mean():.1%} of the labels in column "{values.name}" are fraud ({counts}).',
            hint=f"If the other label is fraud, name it with {POSITIVE_OPTION}.",
        )


def _quote(values: pd.Series) -> str:
    """Returns the values that mean an unknown label, in parentheses; "" if all cells are empty."""
    names = [name for name in _count(values) if _normalize_label(name) not in EMPTY_TEXTS]
    return f" ({', '.join(names)})" if names else ""


def _count(values: pd.Series) -> dict[str, int]:
    """Returns the number of rows of the most frequent values, by value."""
    counts = values.astype(object).where(values.notna(), "").astype(str).value_counts()
    listed = {str(value): int(count) for value, count in counts.head(MAX_LISTED_LABELS).items()}
    rest = int(counts.iloc[MAX_LISTED_LABELS:].sum())
    return listed | ({"…": rest} if rest else {})


def _normalize_label(value: object) -> str:
    return WORD_MARK.sub(" ", _clean(str(value)).casefold())


def _clean(text: str) -> str:
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"`":
        text = text[1:-1].strip()
    return text[:-2] if text.endswith(".0") and text[:-2].removeprefix("-").isdecimal() else text


def _require_all_digits(values: pd.Series, source: str) -> None:
    """Raises a `DataError` if floating-point numbers or scientific notation have lost digits of the identifiers of a column."""
    fix = "Different cards may have become one. Write the identifiers as text"
    if pd.api.types.is_float_dtype(values):
        limit = EXACT_INTEGERS.get(str(values.dtype).lower(), 2**53)
        problem = f"a {values.dtype} number, which does not hold all digits of an identifier from {limit:,} on. {fix}"
        raise_where((values.abs() >= limit).to_numpy(bool, na_value=False), values, source, problem)
    elif not pd.api.types.is_numeric_dtype(values):
        codes, unique = pd.factorize(values.astype(object))
        is_float = np.array([isinstance(value, float) and abs(value) >= 2**53 for value in unique] + [False], bool)
        problem = f"a floating-point number, which does not hold all digits of an identifier from {2**53:,} on. {fix}"
        raise_where(is_float[codes], values, source, problem)
        has_lost = [bool(LOST_DIGITS.fullmatch(str(value).strip())) for value in unique] + [False]
        problem = f"an identifier that was written as a floating-point number, and has lost its last digits. {fix}"
        raise_where(np.array(has_lost, bool)[codes], values, source, problem)
