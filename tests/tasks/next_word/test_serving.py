"""The signatures return what their documentation says, and reject values out of range with the name of the input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.config import PredictOptions
from shared.export.state_stamp import STAMP_SIZE
from tasks.next_word import serving, tokenization
from tasks.next_word.config import ColumnsConfig, NextWordConfig
from tasks.next_word.inputs import READERS
from tests.tasks.next_word.conftest import VOCABULARY

OPTIONS = PredictOptions()

TEXT = {"unit": "word", "pretokenized": False, "vocabulary_size": 100, "min_count": 1}
METADATA = {"columns": {"text": "text"}, "text": TEXT, "vocabulary": VOCABULARY}


@pytest.fixture
def signatures(model):
    spec = serving.export_spec(model, METADATA)
    return {name: signature.function for name, signature in spec.signatures.items()}


def generate(signatures, prompts, **options) -> list[str]:
    count = len(prompts)
    defaults = {"length": 8, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 3}
    dtypes = {"length": tf.int32, "temperature": tf.float32, "top_k": tf.int32, "top_p": tf.float32, "seed": tf.int32}
    dtypes["repetition_penalty"] = tf.float32
    request = {
        name: tf.constant(np.broadcast_to(options.get(name, value), count), dtypes[name])
        for name, value in defaults.items()
    }
    outputs = tf.function(signatures["generate"])(prompt=tf.constant(prompts), **request)
    return [text.decode() for text in outputs["text"].numpy()]


def score(signatures, texts):
    return {name: value.numpy() for name, value in signatures["score"](text=tf.constant(texts)).items()}


def suggest(signatures, texts, k):
    outputs = signatures["serving_default"](text=tf.constant(texts), k=tf.constant(k, tf.int32))
    return outputs["words"].numpy(), outputs["probabilities"].numpy()


def test_suggestions_are_the_most_probable_words_in_falling_order(signatures, submodels, model):
    words, probabilities = suggest(signatures, ["the cat", ""], [3, 2])
    assert words.shape == (2, 3)
    assert words[1, 2] == b""
    assert probabilities[1, 2] == 0
    assert (np.diff(probabilities[0]) <= 0).all()
    log_probabilities = np.asarray(model(tf.constant(["the cat"])))[0]
    order = [k for k in np.argsort(-log_probabilities) if k > 2][:3]
    assert [word.decode() for word in words[0]] == [submodels.vocabulary[k] for k in order]
    np.testing.assert_allclose(probabilities[0], np.exp(log_probabilities[order]), rtol=1e-5)


def test_special_tokens_are_never_suggested(signatures):
    words, _ = suggest(signatures, ["qzxv qzxv", "the"], [10, 10])
    assert not {b"<unk>", b"[UNK]", b"<eos>", b""} & set(words.ravel())


@pytest.mark.parametrize("k", [0, -1, 11, 1000])
def test_a_k_out_of_range_is_rejected(signatures, k):
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be from 1 to 10"):
        suggest(signatures, ["the"], [k])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be from 0 to 100"),
        ({"temperature": np.nan}, "temperature must be from 0 to 100"),
        ({"temperature": 101.0}, "temperature must be from 0 to 100"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
        ({"top_k": -1}, "top_k must be 0 or more"),
        ({"repetition_penalty": 0.5}, "repetition_penalty must be from 1 to 100"),
        ({"length": 0}, "length must be from 1 to 1000"),
        ({"length": 1_000_000}, "length must be from 1 to 1000"),
    ],
)
def test_a_value_out_of_range_is_rejected_with_the_name_of_the_input(signatures, options, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        generate(signatures, ["the cat"], **options)


def test_a_seed_gives_the_same_text_in_any_batch(signatures):
    single = generate(signatures, ["the cat"], seed=5)
    batched = generate(signatures, ["the cat", "the dog sat on the mat"], seed=[5, 9])
    assert batched[0] == single[0]
    different = {generate(signatures, ["the cat"], seed=seed)[0] for seed in range(8)}
    assert len(different) > 4


def test_a_longer_text_begins_with_the_shorter_one(signatures):
    short, long = (generate(signatures, ["the cat"], length=n, seed=5)[0] for n in (4, 12))
    assert long.startswith(short)


def test_a_temperature_of_zero_selects_the_most_probable_words(signatures):
    (text,) = generate(signatures, ["the cat"], temperature=0, length=3)
    (other_seed,) = generate(signatures, ["the cat"], temperature=0, length=3, seed=77)
    assert text == other_seed
    (top_1,) = generate(signatures, ["the cat"], top_k=1, length=3)
    assert top_1 == text


def test_generated_text_never_has_the_unknown_word(signatures):
    for temperature in (1.0, 100.0):
        texts = generate(signatures, [f"the {k}" for k in range(20)], length=30, temperature=temperature)
        words = " ".join(texts).replace("\n", " ").replace(".", " . ").replace(",", " , ").split()
        assert set(words) <= set(VOCABULARY)


def test_a_score_is_the_log_probability_of_each_word_after_the_words_before(signatures, model, submodels):
    text = "the cat sat on . "
    outputs = score(signatures, [text])
    words = text.split()
    assert [word.decode() for word in outputs["words"][0]] == words
    for k, word in enumerate(words):
        log_probabilities = np.asarray(model(tf.constant([" ".join(words[:k])])))[0]
        expected = log_probabilities[submodels.vocabulary.index(word)]
        assert outputs["log_probability"][0, k] == pytest.approx(expected, abs=1e-5)
    assert outputs["perplexity"][0] == pytest.approx(np.exp(-outputs["log_probability"][0].mean()), rel=1e-5)


def test_the_score_of_a_text_does_not_depend_on_longer_texts_in_the_batch(signatures):
    long, short = "the cat sat on the mat . " * 30, "dog there"
    batched, single = score(signatures, [long, short, ""]), score(signatures, [short])
    np.testing.assert_allclose(batched["log_probability"][1, :2], single["log_probability"][0], atol=1e-5)
    assert not batched["log_probability"][1, 2:].any()
    assert batched["perplexity"][2] == 1


def test_a_batch_of_empty_texts_has_a_perplexity_of_one(signatures):
    outputs = score(signatures, ["", " "])
    assert outputs["perplexity"].tolist() == [1, 1]


def test_an_unknown_word_has_a_score(signatures):
    outputs = score(signatures, ["the qzxv"])
    assert outputs["words"][0].tolist() == [b"the", b"<unk>"]
    assert np.isfinite(outputs["log_probability"]).all()


def test_only_the_end_of_a_very_long_prompt_counts(signatures):
    long, _ = suggest(signatures, ["dog " * 100_000 + "the cat sat on the mat . " * 200], [5])
    short, _ = suggest(signatures, ["the cat sat on the mat . " * 200], [5])
    assert long.tolist() == short.tolist()


def test_the_model_reads_the_last_thousand_words_of_a_prompt():
    token_ids = tf.constant([[2, *range(3, 1503)]])
    assert tokenization.truncate_start(token_ids).numpy()[0].tolist() == list(range(503, 1503))


def test_step_equals_score(signatures, submodels):
    text = "the cat sat"
    expected = score(signatures, [text])["log_probability"][0]
    state = tf.zeros((1, submodels.state_size + STAMP_SIZE))
    previous = ["<eos>", *text.split()]
    for k, word in enumerate(text.split()):
        outputs = signatures["step"](word=tf.constant([previous[k]]), state=state)
        state = outputs["state"]
        log_probabilities = outputs["log_probabilities"].numpy()[0]
        assert log_probabilities[submodels.vocabulary.index(word)] == pytest.approx(expected[k], abs=1e-5)


def test_predictions_are_strings(signatures):
    def predictor(request):
        tensors = {name: tf.constant(value) for name, value in request.items()}
        return {name: value.numpy() for name, value in signatures["serving_default"](**tensors).items()}

    predictions = serving.predict(["the cat", "\udcff odd"], METADATA, predictor, OPTIONS)
    assert predictions["words"].shape == (2, 5)
    assert set(predictions["words"].ravel()) <= set(VOCABULARY)


def test_inputs_are_the_lines_of_a_text_file(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("the cat\nthe dog\n")
    assert list(next(READERS.read_inputs(NextWordConfig(), str(path), METADATA, OPTIONS)).records) == [
        "the cat",
        "the dog",
    ]


def test_inputs_are_the_files_of_a_folder(tmp_path):
    (tmp_path / "a.txt").write_text("the cat\nsat\n")
    (tmp_path / "b.txt").write_text("the dog")
    assert list(next(READERS.read_inputs(NextWordConfig(), str(tmp_path), METADATA, OPTIONS)).records) == [
        "the cat\nsat",
        "the dog",
    ]


def test_inputs_of_a_table_come_from_the_column_of_the_option(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text(json.dumps({"body": "of the body", "other": "of the option"}))
    config = NextWordConfig(columns=ColumnsConfig(text="other"))
    assert list(next(READERS.read_inputs(config, str(path), METADATA, OPTIONS)).records) == ["of the option"]


def complete(signatures, texts, k=3):
    outputs = tf.function(signatures["complete"])(text=tf.constant(texts), k=tf.fill([len(texts)], k))
    return [[word.decode() for word in row if word] for row in outputs["words"].numpy()], outputs[
        "probabilities"
    ].numpy()


def test_a_begun_word_is_completed_by_the_most_probable_words_that_begin_so(signatures, submodels, model):
    words, probabilities = complete(signatures, ["the ca", "the cat sat on the d", "the qzx", "the "], k=4)
    known = submodels.vocabulary[3:]
    assert set(words[0]) == {word for word in known if word.startswith("ca")}
    assert words[0]
    assert set(words[1]) == {word for word in known if word.startswith("d")}
    assert words[2] == []
    assert len(words[3]) == 4
    np.testing.assert_allclose(probabilities[0].sum(), 1, rtol=1e-5)
    assert probabilities[2].sum() == 0
    suggested, _ = suggest(signatures, ["the"], [4])
    assert words[3] == [word.decode() for word in suggested[0]]
    log_probabilities = np.asarray(model(tf.constant(["the cat sat on the"])))[0]
    expected = sorted(words[1], key=lambda word: -log_probabilities[submodels.vocabulary.index(word)])
    assert words[1] == expected
