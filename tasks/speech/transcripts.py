"""Normalization of transcripts, and what is noticed about their characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from shared.config import option
from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.speech.input_config import TextConfig

BRACKETED = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|\{[^{}]*\}|【[^【】]*】|（[^（）]*）")
NUMBER = re.compile(r"\d+(?:[.,’'\u00a0\u202f]\d+)*")
ORDINAL = re.compile(r"\b(\d{1,9})(?:st|nd|rd|th)\b", re.IGNORECASE)  # in English
APOSTROPHES = "'’ʼ＇"
SPOKEN_PUNCTUATION = "%&@#"
MAX_SPELLED_DIGITS = 9  # a longer number is spelled digit by digit, as is one that begins with 0
POINT_LANGUAGES = frozenset("en ja zh ko he hi th ur bn ta te mr gu".split())
"""Languages that write decimals with a point; others write a comma."""
RARE_TEXTS = 2
"""A character in at most so many texts is rare, if there are at least `MIN_TEXTS` texts."""
MIN_TEXTS = 20
MAX_LISTED_CHARACTERS = 10


def normalize_text(text: Any, config: TextConfig) -> str:
    """Returns a text in Unicode's form NFC, with one space between two words and none at its ends, and with the changes of the options.

    Args:
        text: a transcript.
        config: `normalize` and `language`.

    Raises:
        DataError: the language has no rules for spelling numbers.
    """
    text = unicodedata.normalize("NFC", str(text))
    if "brackets" in config.normalize:
        text = BRACKETED.sub(" ", text)
    if "digits" in config.normalize:
        text = _spell_numbers(text, config)
    if "lower" in config.normalize:
        if config.language.lower()[:2] in ("tr", "az"):
            text = text.replace("I", "ı").replace("İ", "i")
        text = unicodedata.normalize("NFC", text.lower())
    if "punctuation" in config.normalize:
        text = _drop_punctuation(text)
    return " ".join(text.split())


def _drop_punctuation(text: str) -> str:
    """Returns a text without characters of Unicode's category P; those between letters or digits become a space.

    Apostrophes inside words become ', and `SPOKEN_PUNCTUATION` stays.
    """
    characters = []
    for k, character in enumerate(text):
        is_inside = 0 < k < len(text) - 1 and text[k - 1].isalnum() and text[k + 1].isalnum()
        if character in APOSTROPHES:
            characters.append("'" if is_inside else "")
        elif unicodedata.category(character).startswith("P") and character not in SPOKEN_PUNCTUATION:
            characters.append(" " if is_inside else "")
        else:
            characters.append(character)
    return "".join(characters)


def _spell_numbers(text: str, config: TextConfig) -> str:
    """Returns a text with its numbers in words, by the rules of Unicode's CLDR."""
    if config.language.lower().startswith("en"):
        text = ORDINAL.sub(lambda match: _spell(int(match[1]), config, ",%spellout-ordinal"), text)
    decimal, thousands = (".", ",") if config.language.lower()[:2] in POINT_LANGUAGES else (",", ".")

    def spell(match: re.Match[str]) -> str:
        number = match[0]
        groups = re.split(rf"[{re.escape(thousands)}’'\u00a0\u202f]", number.partition(decimal)[0])
        is_grouped = len(groups) > 1 and all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3
        whole = "".join(groups) if is_grouped else number.partition(decimal)[0]
        rest = number.partition(decimal)[2]
        if not whole.isdecimal() or not (rest.isdecimal() or not rest):
            return re.sub(
                r"\d+", lambda part: f" {_spell_digits(part[0], config)} ", number
            )  # such as a date or an address
        if not rest:
            return _spell_digits(whole, config)
        return _spell(float(f"{int(whole)}.{''.join(str(int(digit)) for digit in rest)}"), config)

    return NUMBER.sub(lambda match: f" {spell(match)} ", text)


def _spell_digits(digits: str, config: TextConfig) -> str:
    """Returns a whole number in words; one with a leading 0, or with many digits, is spelled digit by digit."""
    if len(digits) > MAX_SPELLED_DIGITS or (len(digits) > 1 and int(digits[0]) == 0):
        return " ".join(_spell(int(digit), config) for digit in digits)
    return _spell(int(digits), config)


@cache
def _formatter(language: str, style: str) -> Any:
    from icu4py.messageformat import MessageFormat

    return MessageFormat(f"{{n,spellout{style}}}", language.replace("-", "_"))


@cache
def _require_language(config: TextConfig) -> None:
    """Raises a `DataError` if there are no rules for the language: ICU then falls back to English."""
    words = [str(_formatter(language, "").format({"n": 25})) for language in (config.language, "en")]
    if words[0] == words[1] and not config.language.lower().startswith("en"):
        raise DataError(
            f"{option(config, 'language')} {config.language}: there are no rules that spell numbers in this language. Choose another "
            f'one, or remove "digits" from {option(config, "normalize")}.'
        )


def _spell(number: float, config: TextConfig, style: str = "") -> str:
    _require_language(config)
    words = str(_formatter(config.language, style).format({"n": number}))
    return (
        words.replace("\u00ad", "").replace("-", " ").replace(",", " ")
    )  # soft hyphens separate parts of German words


def add_notices(texts: Sequence[str], names: Sequence[str], source: str, config: TextConfig, has_rows: bool) -> None:
    """Adds notices on empty texts, rare characters, and what `--text.normalize` can unify in training texts.

    Args:
        texts: normalized transcripts.
        names: names of their recordings.
        source: file or folder, for the messages.
        config: `normalize` and `max_empty`.
        has_rows: whether the recordings are the rows of a table.

    Raises:
        DataError: more than `max_empty` of the texts are empty.
    """
    _check_empty(texts, names, source, config, has_rows)
    _add_notice_of_kinds(texts, source, config, has_rows)
    _add_notice_of_rare_characters(texts, names, source, has_rows)


def add_notice_of_unknown_characters(texts: Sequence[str], alphabet: str, source: str, has_rows: bool) -> None:
    """Adds a notice if texts have characters that a trained model cannot write.

    Args:
        texts: normalized transcripts.
        alphabet: characters of the model.
        source: file or folder, for the message.
        has_rows: whether the recordings are the rows of a table.
    """
    positions = [k for k, text in enumerate(texts) if not set(text) <= set(alphabet)]
    if not positions:
        return
    unknown = sorted(set("".join(texts)) - set(alphabet))
    listed = ", ".join(map(describe_character, unknown[:MAX_LISTED_CHARACTERS]))
    listed += " …" if len(unknown) > MAX_LISTED_CHARACTERS else ""
    add_notice(
        f"{source}: {len(positions):,} of {len(texts):,} texts have characters that the model cannot write: {listed}. They count as errors.",
        [k + 1 for k in positions] if has_rows else (),
        "Write these texts as in training, or train the model with --text.normalize.",
    )


def _check_empty(texts: Sequence[str], names: Sequence[str], source: str, config: TextConfig, has_rows: bool) -> None:
    positions = [k for k, text in enumerate(texts) if not text]
    if not positions:
        return
    count = f"{len(positions):,} of {len(texts):,}"
    first = names[positions[0]]
    if len(positions) > config.max_empty * len(texts):
        place = f"row {positions[0] + 1}" if has_rows else first
        raise DataError(
            f"{source}: {count} recordings have an empty text, the first is {place}. Write what the speaker says, or leave these "
            f"recordings out. If they are sound without speech, add {option(config, 'max_empty')} 1."
        )
    add_notice(
        f"{source}: {count} recordings have an empty text, the first is {first}. The model learns to write nothing for them.",
        [k + 1 for k in positions] if has_rows else (),
        "If they have speech, write what the speaker says, or leave them out.",
    )


def _add_notice_of_kinds(texts: Sequence[str], source: str, config: TextConfig, has_rows: bool) -> None:
    """Adds one notice on letter case, digits, punctuation and bracketed marks, with the option that unifies them."""
    has_letters = any(character.isalpha() for text in texts for character in text)
    upper = [k for k, text in enumerate(texts) if text != text.lower()]
    lower = [k for k, text in enumerate(texts) if text != text.upper()]
    positions = {
        "lower": upper if upper and lower else [],
        "digits": [k for k, text in enumerate(texts) if has_letters and any(map(str.isdecimal, text))],
        "punctuation": [k for k, text in enumerate(texts) if _drop_punctuation(text) != text],
        "brackets": [k for k, text in enumerate(texts) if BRACKETED.search(text)],
    }
    titles = {
        "lower": "capital and small letters",
        "digits": "digits",
        "punctuation": "punctuation",
        "brackets": "marks in brackets",
    }
    kinds = [kind for kind, rows in positions.items() if rows and kind not in config.normalize]
    if not kinds:
        return
    listed = ", ".join(f"{titles[kind]} in {len(positions[kind]):,}" for kind in kinds)
    rows = sorted({k + 1 for kind in kinds for k in positions[kind][:1]})
    add_notice(
        f"{source}: of {len(texts):,} texts, there are {listed}. The model learns to write them.",
        rows if has_rows else (),
        f"If it should not, add {option(config, 'normalize')} {' '.join([*config.normalize, *kinds])}.",
    )


def _add_notice_of_rare_characters(texts: Sequence[str], names: Sequence[str], source: str, has_rows: bool) -> None:
    counts = Counter(character for text in texts for character in set(text))
    rare = sorted(character for character, count in counts.items() if count <= RARE_TEXTS)
    if not rare or len(texts) < MIN_TEXTS:
        return
    first = {character: next(k for k, text in enumerate(texts) if character in text) for character in rare}
    places = {c: f"row {k + 1}" if has_rows else names[k] for c, k in first.items()}
    listed = ", ".join(f"{describe_character(c)} ({places[c]})" for c in rare[:MAX_LISTED_CHARACTERS])
    listed += " …" if len(rare) > MAX_LISTED_CHARACTERS else ""
    add_notice(
        f"{source}: {len(rare)} {'character is' if len(rare) == 1 else 'characters are'} in at most {RARE_TEXTS} texts, too few to learn: "
        f"{listed}.",
        hint="Correct these texts, or spell the characters out.",
    )


def describe_character(character: str) -> str:
    """Returns a character, or its code point and name if it cannot be seen."""
    if character == " ":
        return "space"
    if unicodedata.category(character)[0] in "CZM":
        return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
    return character
