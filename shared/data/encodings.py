"""Encodings of text files: UTF-8 and UTF-16 by their bytes, code pages by the letters and the statistics of the text."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.data.latin_code_pages import choose_code_page

UTF8 = "utf-8-sig"
"""Encoding of UTF-8 with or without a byte order mark."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHER_CODE_PAGES = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874")
"""Code pages of other scripts with one byte per character."""
MULTIBYTE_CODE_PAGES = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
SAMPLE_SIZE = 200_000  # bytes
MIN_ZEROS = 4  # zero bytes of UTF-16 text
MIN_PLAUSIBLE = 0.98  # fraction of the characters of UTF-16 text that are letters, digits, punctuation or whitespace
MIN_BYTES = 30  # bytes that are not ASCII, below which a script without Latin letters is not recognized
MAX_CHAOS_DIFFERENCE = 0.03
MAX_COHERENCE_DIFFERENCE = 0.1
WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
NON_ASCII_RUN = re.compile(rb"[\x80-\xff]+")
MIN_RUN = 3  # letters outside ASCII in a row, as they are rare in a Latin script
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
MAX_CONTROLS = 0.001  # control characters of a text as a fraction of its bytes
UTF8_CHARACTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class CodePage:
    """The code page of a text, or what it may be.

    Attributes:
        name: Python's name of the encoding; "" if it cannot be decided.
        examples: for each possible encoding, a word of the text as it decodes it; the first one is `name` if there is one.
    """

    name: str
    examples: dict[str, str]


def unicode_encoding(start: bytes) -> str | None:
    """Returns the Unicode encoding that the first bytes of a file show: by a byte order mark, or by the zero bytes of UTF-16 text.

    Args:
        start: the first bytes of a file, some thousands.

    Returns:
        Name of the encoding; None if the bytes show none, as for UTF-8 without a byte order mark and for code pages.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[0::2].count(0), start[1::2].count(0)
    zeros, others, encoding = (odd, even, "utf-16-le") if odd > even else (even, odd, "utf-16-be")
    is_candidate = zeros >= MIN_ZEROS and others < 0.1 * zeros
    return encoding if is_candidate and _is_text(start, encoding) else None


def _is_text(start: bytes, encoding: str) -> bool:
    """Returns True if the beginning of a file is text in an encoding, and not binary content."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return False
    plausible = sum(character in "\t\n\r" or unicodedata.category(character)[0] in "LMNPSZ" for character in text)
    return plausible >= MIN_PLAUSIBLE * len(text)


def is_utf8(chunks: Iterable[bytes]) -> bool:
    """Returns True if consecutive parts of a file are UTF-8 text together, without zero bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            if b"\x00" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def is_mostly_utf8(content: bytes) -> bool:
    """Returns True if most bytes above 127 are characters of UTF-8, so that the others are errors."""
    high = sum(map(len, NON_ASCII_RUN.findall(content)))
    return 2 * sum(map(len, UTF8_CHARACTER.findall(content))) > high


def detect_code_page(content: bytes) -> CodePage | None:
    """Detects the code page of a text that is not UTF-8.

    Single letters outside ASCII belong to a Latin script, whole words of them to another one. In a Latin script, the letters of
    languages decide (see `shared.data.latin_code_pages`); otherwise charset-normalizer compares how plausible the characters and their
    frequencies are.

    Args:
        content: bytes of the text.

    Returns:
        The code page; None if the bytes are no text, UTF-8 with single wrong bytes, or text in an unknown code page.
    """
    from charset_normalizer import from_bytes

    if b"\x00" in content or len(CONTROL.findall(content)) > MAX_CONTROLS * len(content):
        return None
    sample = _sample(content)
    words = WORD.findall(sample)
    runs = [len(run) for run in NON_ASCII_RUN.findall(sample)]
    high = sum(runs)
    if not high or is_mostly_utf8(sample):
        return None
    is_latin = sum(run for run in runs if run >= MIN_RUN) < 0.5 * high
    if is_latin:
        name = choose_code_page(words)
        return CodePage(name, {name: _example(words, name)}) if name is not None else None
    only_words = b" ".join(words)  # Latin words in the same lines would mislead
    matches = [
        *from_bytes(only_words, cp_isolation=list(OTHER_CODE_PAGES)),
        *from_bytes(sample, cp_isolation=list(MULTIBYTE_CODE_PAGES)),
    ]
    return _choose_other([match for match in matches if _has_usual_case(str(match))] or matches, words, high)


def _sample(content: bytes) -> bytes:
    """Returns the first lines that have characters outside ASCII."""
    lines, size = [], 0
    for line in re.split(rb"[\r\n]+", content):
        if not line.isascii():
            lines.append(line)
            size += len(line)
        if size > SAMPLE_SIZE:
            break
    return b"\n".join(lines)


def _choose_other(matches: Sequence[Any], words: Sequence[bytes], high: int) -> CodePage | None:
    """Returns the most plausible code page; several if the text is almost as plausible in others, or is too short."""
    if not matches:
        return None
    best = min(matches, key=lambda match: match.chaos - match.coherence / 2)
    close = [match for match in matches if high < MIN_BYTES or _is_close(match, best)]
    different = {_example(words, match.encoding): match for match in close}
    if len(different) == 1:
        return CodePage(best.encoding, {best.encoding: _example(words, best.encoding)})
    return CodePage("", {match.encoding: _example(words, match.encoding) for match in different.values()})


def _has_usual_case(text: str) -> bool:
    """Returns False if most letters with case are capitals, as if Cyrillic is decoded by the wrong code page."""
    lower, upper = (sum(map(test, text)) for test in (str.islower, str.isupper))
    return upper <= lower


def _is_close(match: Any, best: Any) -> bool:
    return (
        match.chaos <= best.chaos + MAX_CHAOS_DIFFERENCE
        and match.coherence >= best.coherence - MAX_COHERENCE_DIFFERENCE
    )


def _example(words: Sequence[bytes], encoding: str) -> str:
    """Returns the first long word that has characters outside ASCII."""
    word = next((word for word in words if len(word) > 3), words[0])
    return word.decode(encoding, errors="replace")
