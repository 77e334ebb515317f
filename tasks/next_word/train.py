"""Trains the next-word task: `python -m tasks.next_word.train` is `lstm-suite train next_word`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import keras

from shared import cli, training
from shared.errors import DataError
from shared.pipelines import ContiguousBatches
from shared.sources import Splits
from shared.task import Task, TrainedModel
from tasks.next_word import data, serving, words
from tasks.next_word.config import NextWordConfig
from tasks.next_word.evaluate import evaluate
from tasks.next_word.model import SubmodelBuilder, Trainer

FEWEST = 3  # words, the end of a line among them, that there has to be something to choose between


def train_model(config: NextWordConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Learns the vocabulary of the training text, and to tell each of its words by those before it.

    Args:
        config: settings.
        splits: column `text`; the test split is not looked at.
        folder: for logs and checkpoints.

    Raises:
        DataError: the text is shorter than one batch.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(config.training.seed)
    vocabulary = words.vocabulary_of(splits.train["text"], config.text)
    if len(vocabulary) < FEWEST:
        raise DataError(
            f"{config.data}: fewer than {FEWEST - 1} {config.text.unit}s occur {config.text.fewest} times in training. Give more "
            "text, or lower --text.fewest."
        )
    batches = _batches(config, splits, vocabulary)
    size = len(vocabulary) + words.END
    with training.precision(config.training.precision):
        views = SubmodelBuilder(config, size)
        trainer = Trainer(views, config.training.batch_size)
    prepared = time.monotonic() - started
    history = training.fit(
        trainer, batches["train"], batches["validation"].evaluation_batches(), config.training, folder, loss=training.identity_loss
    )
    history.seconds += prepared
    model = views.whole(vocabulary)
    if config.training.precision != "float32":
        model = training.rebuild_in_float32(model, lambda: SubmodelBuilder(config, size).whole(vocabulary))
    notes = {"weights": "their moving average" if history.is_average else f"of epoch {history.best_epoch}"}
    metadata = {"task": "next_word", "text": dataclasses.asdict(config.text), "vocabulary": vocabulary}
    return TrainedModel(model=model, metadata=metadata, history=history, parts={"mixture": None}, notes=notes)


def _batches(config: NextWordConfig, splits: Splits, vocabulary: list[str]) -> dict[str, ContiguousBatches]:
    rows, stretch, found = config.training.batch_size, config.model.stretch, {}
    for name, seed in (("train", config.training.seed), ("validation", None)):
        stream = words.stream_of(getattr(splits, name)["text"].tolist(), vocabulary, config.text)
        try:
            found[name] = ContiguousBatches(stream, rows, stretch, seed)
        except ValueError as error:
            raise DataError(
                f"{config.data}: {len(stream)} {config.text.unit}s of {name} are too few for a batch of {rows} rows of "
                f"{stretch}. Give more text, or lower --training.batch-size or --model.stretch."
            ) from error
    return found


TASK = Task(
    name="next_word",
    load=data.load,
    train=train_model,
    evaluate=evaluate,
    export_spec=serving.export_spec,
    score_file=serving.score_file,
    predict=serving.predict,
    primary_metric="perplexity",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "It continues text in the manner of what it was trained on, and knows nothing else: it neither means nor checks what "
        "it says, and repeats what its texts say of people. It reads the last thousand words. A text of another kind is "
        "less likely to it; its perplexity compares with that of other models only on the same text and vocabulary."
    ),
    evaluation_signature="score",
)

if __name__ == "__main__":
    cli.main_of("next_word")
