"""Encodings of text files: UTF-8 and UTF-16 by their bytes, code pages of Windows by the statistics of the text."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

UTF8 = "utf-8-sig"
"""Encoding of UTF-8 with or without a byte order mark."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LATIN_CODE_PAGES = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257")
"""Code pages of scripts with Latin letters, most common first."""
OTHER_CODE_PAGES = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874")
"""Code pages of other scripts with one byte per character."""
MULTIBYTE_CODE_PAGES = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
SAMPLE_SIZE = 200_000  # bytes
MIN_ZEROS = 4  # zero bytes of UTF-16 text
MIN_BYTES = 30  # bytes that are not ASCII, below which a script without Latin letters is not recognized
MAX_CHAOS_DIFFERENCE = 0.03
MAX_COHERENCE_DIFFERENCE = 0.1
WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
NON_ASCII_RUN = re.compile(rb"[\x80-\xff]+")
MIN_RUN = 3  # letters outside ASCII in a row, as they are rare in a Latin script
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
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
    half = len(start) // 2
    if odd > max(MIN_ZEROS, 0.3 * half) and even < 0.02 * half:
        return "utf-16-le"
    if even > max(MIN_ZEROS, 0.3 * half) and odd < 0.02 * half:
        return "utf-16-be"
    return None


def is_utf8(chunks: Iterable[bytes]) -> bool:
    """Returns True if consecutive parts of a file are UTF-8 together."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def detect_code_page(content: bytes) -> CodePage | None:
    """Detects the code page of a text that is not UTF-8.

    Single letters outside ASCII belong to a Latin script, whole words of them to another one. Among the code pages of the script,
    charset-normalizer compares how plausible the characters and their frequencies are.

    Args:
        content: bytes of the text.

    Returns:
        The code page; None if the bytes are no text, or UTF-8 with single wrong bytes.
    """
    from charset_normalizer import from_bytes

    if CONTROL.search(content):
        return None
    sample = _sample(content)
    words = WORD.findall(sample)
    runs = [len(run) for run in NON_ASCII_RUN.findall(sample)]
    high = sum(runs)
    if not high or 2 * sum(map(len, UTF8_CHARACTER.findall(sample))) > high:
        return None
    is_latin = sum(run for run in runs if run >= MIN_RUN) < 0.5 * high
    if is_latin:
        latin = from_bytes(sample, cp_isolation=list(LATIN_CODE_PAGES))
        return _choose_latin({name: match for match in latin for name in match.could_be_from_charset}, words)
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


def _choose_latin(candidates: dict[str, Any], words: Sequence[bytes]) -> CodePage | None:
    """Returns the most common code page, unless the text is clearly more plausible in another one."""
    names = [name for name in LATIN_CODE_PAGES if name in candidates]
    if not names:
        return None
    best = min(names, key=lambda name: candidates[name].chaos - candidates[name].coherence / 2)
    for name in names:
        if _is_close(candidates[name], candidates[best]):
            return CodePage(name, {name: _example(words, name)})
    return CodePage(best, {best: _example(words, best)})


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
