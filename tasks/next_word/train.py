"""Trains the next-word model, and declares the task."""

from __future__ import annotations

from pathlib import Path

from shared.config import as_dict, option
from shared.data.notices import add_notice
from shared.data.sources import Splits
from shared.data.stream_batches import ContiguousBatches
from shared.errors import DataError
from shared.task import PredictionCommand, Task, TrainedModel
from shared.training import loop
from tasks.next_word import generation, serving, text_scores, tokenization, word_stream
from tasks.next_word.config import NextWordConfig
from tasks.next_word.evaluate import METRICS, plan_evaluation, score
from tasks.next_word.model import SubmodelBuilder, Trainer

MIN_VOCABULARY = 3  # the end of a line and two words


def train_model(config: NextWordConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Builds the vocabulary of the training split and trains the language model.

    Args:
        config: all options.
        splits: column `text`; the test split is not used.
        folder: folder for logs and checkpoints.

    Raises:
        DataError: the vocabulary has fewer than two words, or a split has no word.
    """
    vocabulary = tokenization.build_vocabulary(splits.train["text"], config.text)
    if len(vocabulary) < MIN_VOCABULARY:
        raise DataError(
            f"{config.data}: the vocabulary must have at least {MIN_VOCABULARY - 1} {config.text.unit}s that occur "
            f"{config.text.min_count} times in the training split. Received: {len(vocabulary) - 1}. Add text, or lower "
            f"{option(config.text, 'min_count')}."
        )
    batches = _make_batches(config, splits, vocabulary)
    size = len(vocabulary) + tokenization.END_ID
    with loop.precision(config.training.precision):
        submodels = SubmodelBuilder(config, size)
        trainer = Trainer(submodels, batches["train"].batch_size)
    history = loop.fit(
        trainer,
        batches["train"],
        batches["validation"].evaluation_batches(),
        config.training,
        folder,
        loss=loop.identity_loss,
    )
    model = loop.in_float32(
        submodels.full_model(vocabulary),
        config.training.precision,
        lambda: SubmodelBuilder(config, size).full_model(vocabulary),
    )
    return TrainedModel(
        model=model,
        metadata={"text": as_dict(config.text), "vocabulary": vocabulary},
        history=history,
    )


def _make_batches(config: NextWordConfig, splits: Splits, vocabulary: list[str]) -> dict[str, ContiguousBatches]:
    """Returns the batches of the training and the validation split; both have the same size, which is smaller for a small split."""
    streams = {
        name: tokenization.encode_stream(getattr(splits, name)["text"].tolist(), vocabulary, config.text)
        for name in ("train", "validation")
    }
    smallest = min(streams, key=lambda name: len(streams[name]))
    tokens = len(streams[smallest]) - 1
    if tokens < 1:
        raise DataError(f"{config.data}: the {smallest} split has no {config.text.unit}s. Add text.")
    length = min(config.model.bptt_length, tokens)
    batch_size = min(config.training.batch_size, tokens // length)
    if (batch_size, length) != (config.training.batch_size, config.model.bptt_length):
        add_notice(
            f"{config.data}: the {smallest} split has only {tokens:,} {config.text.unit}s, so a batch has {batch_size} segments of {length} "
            f"instead of {config.training.batch_size} of {config.model.bptt_length}.",
            hint=f"Add text, or choose {option(config.training, 'batch_size')} and {option(config.model, 'bptt_length')} yourself.",
        )
    seeds = {"train": config.training.seed, "validation": None}
    return {name: ContiguousBatches(stream, batch_size, length, seeds[name]) for name, stream in streams.items()}


TASK = Task(
    name="next_word",
    train=train_model,
    export_spec=serving.export_spec,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    commands={
        "generate": PredictionCommand("generate", generation.generate, generation.text_table, printed_column="text"),
        "complete": PredictionCommand("complete", serving.predict, serving.prediction_table),
        "score": PredictionCommand("score", text_scores.score_texts, text_scores.score_table),
    },
    stream=word_stream.build_stream,
    primary_metric="perplexity",
    example_inputs=serving.EXAMPLES,
    limitations=(
        "The model continues text in the style of its training texts. It does not understand or check what it writes, and it "
        "repeats what its training texts say about people. It reads only the last 1,000 words of a prompt. Text of another kind has "
        "a higher perplexity, and perplexities are comparable only on the same text with the same vocabulary. `model.keras` "
        "reads tokens with one space between them; the SavedModel reads any text, and `separate_tokens` of "
        "`tasks/next_word/tokenization.py` makes tokens of it for `model.keras`."
    ),
    evaluation_signature="score",
)
