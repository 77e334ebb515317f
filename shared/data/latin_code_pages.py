"""Code pages of texts in Latin letters: the right one is that in which the letters outside ASCII belong to one language."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

CODE_PAGES = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257", "mac_roman", "cp850", "cp852")
"""Code pages of Windows, ISO 8859-2, classic Mac OS and DOS, most common first."""
LANGUAGES = {
    "Catalan": "àçèéíïòóúü",
    "Croatian, Slovene": "čćđšž",
    "Czech": "áčďéěíňóřšťúůýž",
    "Danish, Norwegian": "åæøéòô",
    "Dutch": "áèéëíïóöúü",
    "Estonian": "äõöšüž",
    "French": "àâæçèéêëîïôœùûüÿ",
    "German": "äöüß",
    "Hungarian": "áéíóöőúüű",
    "Icelandic": "áæðéíóöúýþ",
    "Italian": "àèéìíîòóùú",
    "Latvian": "āčēģīķļņšūž",
    "Lithuanian": "ąčęėįšųūž",
    "Polish": "ąćęłńóśźż",
    "Portuguese": "àáâãçéêíóôõúü",
    "Romanian": "ăâîşţ",
    "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Spanish": "áéíñóúü",
    "Swedish, Finnish": "åäöé",
    "Turkish": "âçğıîöşûüİ",
}
"""Letters outside ASCII by language, most of them in lower case."""
WORD_SIGNS = "\u00ad\u00b7\u2018\u2019\u2013\u2014\u2026"
"""Characters between two letters that are no letters: soft hyphen, middle dot, apostrophes, dashes, ellipsis."""
MAX_WORDS = 20_000  # different words that are compared
MIN_EXPLAINED = 0.5  # fraction of the words
MIN_ADVANTAGE = 0.1  # of the score, which is at most 2, over a more common code page


def choose_code_page(words: Sequence[bytes]) -> str | None:
    """Returns the code page in which the words are those of one language, or at least of some languages.

    The score of a code page is the fraction of the words that a language of `LANGUAGES` has the letters for, plus that of the
    language which explains the most words. Another code page than the most common one needs a clearly higher score.

    Args:
        words: words with bytes above 127, with their repetitions.

    Returns:
        Python's name of the encoding; None if no code page explains most of the words.
    """
    counts = Counter(words).most_common(MAX_WORDS)
    scores = {page: _score(counts, page) for page in CODE_PAGES}
    best = max(explained for explained, _ in scores.values())
    if best < MIN_EXPLAINED:
        return None
    highest = max(map(sum, scores.values()))
    return next(page for page in CODE_PAGES if sum(scores[page]) >= highest - MIN_ADVANTAGE)


def _score(counts: Sequence[tuple[bytes, int]], page: str) -> tuple[float, float]:
    """Returns the fraction of the words that some language explains, and that of the language which explains the most."""
    total = sum(count for _, count in counts)
    explained, by_language = 0, Counter[str]()
    for word, count in counts:
        text = word.decode(page, errors="replace")
        if not _is_word(text):
            continue
        letters = {
            letter.lower() if letter != "İ" else letter for letter in text if letter > "\x7f" and letter.isalpha()
        }
        languages = [name for name, alphabet in LANGUAGES.items() if letters <= set(alphabet)]
        explained += count * bool(languages)
        by_language.update(dict.fromkeys(languages, count))
    return explained / total, max(by_language.values(), default=0) / total


def _is_word(text: str) -> bool:
    """Returns False for text with signs between its letters, with control characters, or with a capital after a small letter."""
    if any(not character.isprintable() and character not in "\u00ad\u00a0" for character in text):
        return False
    inner = text.strip("".join(character for character in text if not character.isalpha()))
    if any(not character.isalpha() and character not in WORD_SIGNS for character in inner):
        return False
    return not any(
        before.islower() and after.isupper() and not after.isascii() for before, after in itertools.pairwise(inner)
    )
