"""Texts per second of the tokenization in the graph, on one core, alone and before a classifier.

    python -m benchmarks.tokenization_speed imdb/train.csv.xz --version saved_models/sentiment/1

The texts are sorted by length. Each time is the minimum of five passes. "accents" are the same texts with decomposed accents on
every "e", the slowest kind of text.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import tensorflow as tf

from benchmarks.machine import describe_machine
from shared.export import keras_file
from shared.text.separation import separate_words

BATCH_SIZE = 64
REPETITIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="table with a column `text`")
    parser.add_argument("--texts", type=int, default=2_000, help="number of texts")
    parser.add_argument("--version", type=Path, help="folder of an exported version of sentiment")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(describe_machine("tensorflow"))
    texts = sorted(pd.read_csv(arguments.data, keep_default_na=False)["text"].tolist()[: arguments.texts], key=len)
    print(f"{len(texts):,} texts, {sum(map(len, texts)) / len(texts):.0f} characters on average")
    report("folded", separate_words, texts)
    report("not folded", lambda text: separate_words(text, fold=False, keep_line_ends=True), texts)
    report("accents", separate_words, [text.replace("e", "e\u0301") for text in texts])
    if arguments.version:
        classifier = keras_file.load(arguments.version / "model.keras")
        report("classifier", lambda text: classifier(separate_words(text)), texts)
        report("classifier without separation", classifier, texts)


def report(name: str, function: Callable[[tf.Tensor], tf.Tensor], texts: Sequence[str]) -> None:
    """Prints the speed of a function from strings `(batch,)`."""
    graph = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])
    batches = [tf.constant(texts[start : start + BATCH_SIZE]) for start in range(0, len(texts), BATCH_SIZE)]
    graph(batches[0])
    seconds = []
    for _ in range(REPETITIONS):
        start_time = time.perf_counter()
        for batch in batches:
            graph(batch)
        seconds.append(time.perf_counter() - start_time)
    print(f"{name}: {len(texts) / min(seconds):,.0f} texts/s")


if __name__ == "__main__":
    main()
