"""Trains the next-word model, and declares the task."""

from __future__ import annotations

from pathlib import Path

from shared.config import as_dict, option
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
        DataError: the vocabulary has fewer than two words, or a split has too few words for one batch.
    """
    vocabulary = tokenization.build_vocabulary(splits.train["text"], config.text)
    if len(vocabulary) < MIN_VOCABULARY:
        raise DataError(
            f"{config.data}: the vocabulary must have at least {MIN_VOCABULARY - 1} {config.text.unit}s that occur "
            f"{config.text.min_count} times in the training split. Received: {len(vocabulary) - 1}. Add text, or lower "
            f"{option(config.text, 'min_count')}."
        )
    batches = {
        "train": _make_batches(config, splits, "train", vocabulary, config.training.seed),
        "validation": _make_batches(config, splits, "validation", vocabulary, None),
    }
    size = len(vocabulary) + tokenization.END_ID
    with loop.precision(config.training.precision):
        submodels = SubmodelBuilder(config, size)
        trainer = Trainer(submodels, config.training.batch_size)
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


def _make_batches(
    config: NextWordConfig, splits: Splits, name: str, vocabulary: list[str], seed: int | None
) -> ContiguousBatches:
    texts = getattr(splits, name)["text"].tolist()
    stream = tokenization.encode_stream(texts, vocabulary, config.text)
    batch_size, length = config.training.batch_size, config.model.bptt_length
    try:
        return ContiguousBatches(stream, batch_size, length, seed)
    except ValueError as error:
        raise DataError(
            f"{config.data}: the {name} split must have more than {batch_size * length:,} {config.text.unit}s, the batch size "
            f"times the segment length. Received: {len(stream)}. Add text, or lower {option(config.training, 'batch_size')} or "
            f"{option(config.model, 'bptt_length')}."
        ) from error


TASK = Task(
    name="next_word",
    train=train_model,
    export_spec=serving.export_spec,
    read_inputs=serving.read_inputs,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    read_records=serving.read_records,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=METRICS,
    commands={
        "generate": PredictionCommand("generate", generation.generate, generation.text_table, printed_column="text"),
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
