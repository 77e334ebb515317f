"""N-gram language models of words in the ARPA format, which speech recognizers and toolkits such as KenLM share.

The file lists the n-grams of each length with the decimal logarithm of their probability and, where longer n-grams exist, the decimal
logarithm of the backoff weight of the n-gram as a context:

    P(w | context) = probability(context w)                            if the n-gram is listed
                   = backoff(context) P(w | context without its first word)    otherwise

`<s>` and `</s>` are the beginning and the end of a text, `<unk>` is any word outside the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.data import files
from shared.errors import DataError
from shared.text.kneser_ney import KneserNey

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = -99.0
"""Decimal logarithm that stands for a probability of 0 in the ARPA format."""
LETTER_PENALTY = math.log(10.0)
"""Subtracted from the log-probability of an unknown word for each of its letters, so that long unknown words are improbable."""
SUFFIXES = (".arpa", ".arpa.gz", ".arpa.xz", ".lm", ".lm.gz")

NGram = tuple[str, ...]


@dataclass(frozen=True)
class NGramModel:
    """An n-gram model with backoff."""

    order: int
    """Maximum number of words in an n-gram."""
    log_probabilities: Mapping[NGram, float]
    """Natural logarithm of the probability of the last word after the others, for each listed n-gram."""
    log_backoffs: Mapping[NGram, float]
    """Natural logarithm of the backoff weight of each context; 0 for the others."""

    @property
    def vocabulary(self) -> frozenset[str]:
        """The words, without the marks of beginning, end and unknown words."""
        return frozenset(ngram[0] for ngram in self.log_probabilities if len(ngram) == 1) - {BEGIN, END, UNKNOWN}

    def log_probability(self, previous_words: Sequence[str], word: str) -> float:
        """Returns the natural logarithm of the probability of a word, or "" for the end, after the words since the beginning.

        A word outside the vocabulary has the probability of the unknown word, divided by ten for each letter.
        """
        count = self.order - 1
        context = tuple([BEGIN, *previous_words][-count:]) if count else ()
        context = tuple(w if w == BEGIN or (w,) in self.log_probabilities else UNKNOWN for w in context)
        last = word or END
        penalty = 0.0
        if (last,) not in self.log_probabilities:
            last, penalty = UNKNOWN, LETTER_PENALTY * len(word)
        total = -penalty
        while (ngram := (*context, last)) not in self.log_probabilities:
            if not context:
                return total + IMPOSSIBLE * math.log(10)
            total += self.log_backoffs.get(context, 0.0)
            context = context[1:]
        return total + self.log_probabilities[ngram]


def train_model(texts: Iterable[str], order: int) -> NGramModel:
    """Returns an interpolated Kneser-Ney model of some texts (see `shared.text.kneser_ney`).

    Args:
        texts: texts with whitespace between the words.
        order: maximum number of words in an n-gram, at least 1.
    """
    import numpy as np

    lines = [text.split() for text in texts]
    end_id, first_id = 1, 3  # 2 is the unknown word
    words = sorted({word for line in lines for word in line})
    token_ids = {word: k for k, word in enumerate(words, first_id)}
    stream = [end_id]
    for line in lines:
        stream += [*(token_ids[word] for word in line), end_id]
    model = KneserNey(np.array(stream), len(words) + first_id, end_id, order)
    names = ["", END, UNKNOWN, *words]
    log_probabilities: dict[NGram, float] = {}
    log_backoffs: dict[NGram, float] = {}
    for ngram, probability, backoff in model.ngrams():
        name = tuple(names[token_id] for token_id in ngram)
        context = (BEGIN, *name[1:]) if name[0] == END else name
        if probability > 0:
            log_probabilities[name if len(name) == 1 else context] = math.log(probability)
        if backoff is not None and (len(name) == 1 or name[-1] != END):
            log_backoffs[context] = math.log(max(backoff, 1e-12))
    log_probabilities[(BEGIN,)] = IMPOSSIBLE * math.log(10)
    return NGramModel(order, log_probabilities, log_backoffs)


def format_model(model: NGramModel) -> str:
    """Returns a model in the ARPA format."""
    by_order: list[list[NGram]] = [[] for _ in range(model.order)]
    for ngram in sorted(model.log_probabilities):
        by_order[len(ngram) - 1].append(ngram)
    lines = ["", "\\data\\", *(f"ngram {n}={len(ngrams)}" for n, ngrams in enumerate(by_order, 1))]
    for n, ngrams in enumerate(by_order, 1):
        lines += ["", f"\\{n}-grams:"]
        for ngram in ngrams:
            fields = [f"{model.log_probabilities[ngram] / math.log(10):.6g}", " ".join(ngram)]
            if ngram in model.log_backoffs:
                fields.append(f"{model.log_backoffs[ngram] / math.log(10):.6g}")
            lines.append("\t".join(fields))
    return "\n".join([*lines, "", "\\end\\", ""])


def parse_model(lines: Iterable[str], place: str) -> NGramModel:
    """Reads a model in the ARPA format.

    Args:
        lines: lines of the file.
        place: file, for error messages.

    Raises:
        DataError: the content is not in the ARPA format, or has no unigrams.
    """
    log_probabilities: dict[NGram, float] = {}
    log_backoffs: dict[NGram, float] = {}
    order = 0
    for number, line in _section_lines(lines):
        if line.startswith("\\"):
            order = _section_order(line, place, number)
            continue
        fields = line.split()
        if order == 0 or len(fields) not in (order + 1, order + 2):
            raise DataError(
                f'{place}, line {number}: expected a logarithm, {order} words and perhaps a backoff weight. Received: "{line}". '
                "Give a language model in the ARPA format."
            )
        try:
            ngram = tuple(fields[1 : order + 1])
            log_probabilities[ngram] = float(fields[0]) * math.log(10)
            if len(fields) == order + 2:
                log_backoffs[ngram] = float(fields[-1]) * math.log(10)
        except ValueError as error:
            raise DataError(
                f'{place}, line {number}: "{line}" begins or ends with something that is not a number.'
            ) from error
    if not any(len(ngram) == 1 for ngram in log_probabilities):
        raise DataError(f"{place}: there are no n-grams. Give a language model in the ARPA format.")
    return NGramModel(max(map(len, log_probabilities)), log_probabilities, log_backoffs)


def read_model(path: Path) -> NGramModel:
    """Reads an ARPA file, which may be compressed.

    Raises:
        DataError: the file cannot be read, or is not in the ARPA format.
    """
    return parse_model(files.read_text(path).splitlines(), str(path))


def _section_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yields the lines with n-grams and their headings, with their numbers from 1; what is before them is left out."""
    has_started = False
    for number, text in enumerate(lines, 1):
        line = text.strip()
        if line.endswith("-grams:") and line.startswith("\\"):
            has_started = True
        if line == "\\end\\":
            return
        if has_started and line:
            yield number, line


def _section_order(line: str, place: str, number: int) -> int:
    text = line.removeprefix("\\").removesuffix("-grams:")
    if not text.isdecimal() or int(text) < 1:
        raise DataError(f'{place}, line {number}: expected a heading such as \\2-grams:. Received: "{line}"')
    return int(text)
