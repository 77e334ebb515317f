"""Answers to whole recordings and to recordings in pieces; a user's files."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import DataError
from tasks.speech import serving
from tasks.speech.batches import padded
from tasks.speech.features import RATE
from tasks.speech.serving import SECONDS, Answers
from tests.tasks.speech.conftest import ALPHABET, babble, tone

FACTS = {"task": "speech", "alphabet": ALPHABET, "audio": {}}


@pytest.fixture
def signatures(streaming_views):
    return serving.export_spec(streaming_views.whole(), FACTS).signatures


def whole_text(signatures, samples):
    found = signatures["serving_default"].function(
        samples=tf.constant(samples[None]), length=tf.constant([len(samples)], tf.int32)
    )
    return found["text"].numpy()[0].decode()


def streamed(signatures, samples, sizes):
    """The text of a recording in pieces of these sizes, again and again."""
    step = tf.function(signatures["step"].function)
    memory = tf.zeros_like(signatures["step"].example_request["state"][:1])
    text, start, k = "", 0, 0
    while start < len(samples):
        size = sizes[k % len(sizes)]
        piece = samples[start : start + size]
        found = step(
            samples=tf.constant(np.pad(piece, (0, max(sizes) - len(piece)), constant_values=0.5)[None]),
            length=tf.constant([len(piece)], tf.int32),
            last=tf.constant([start + size >= len(samples)]),
            memory=memory,
        )
        memory, text = found["state"], text + found["text"].numpy()[0].decode()
        start, k = start + size, k + 1
    np.testing.assert_array_equal(memory, 0)
    return text


@pytest.mark.parametrize("sizes", [(1600,), (1,), (640,), (7, 1471, 333), (5000,), (100_000,)])
def test_pieces_of_any_size_give_the_text_of_the_whole(signatures, sizes):
    count = 1500 if sizes == (1,) else 37_777
    samples = babble(count)
    expected = whole_text(signatures, samples)
    assert len(expected) > (0 if sizes == (1,) else 5)
    assert streamed(signatures, samples, sizes) == expected


def test_a_stream_is_the_same_beside_another_that_waits(signatures):
    samples = tone("cab")
    step = signatures["step"]
    memory = tf.zeros((2, step.request["state"].shape[1]))
    text = ""
    for start in range(0, len(samples), 1600):
        piece = samples[start : start + 1600]
        both, _ = padded([piece, np.zeros(1600, np.float32)], np.float32)
        found = step.function(
            samples=tf.constant(both),
            length=tf.constant([len(piece), 0], tf.int32),
            last=tf.constant([start + 1600 >= len(samples), False]),
            memory=memory,
        )
        memory, text = found["state"], text + found["text"].numpy()[0].decode()
        assert found["text"].numpy()[1] == b""
    assert text == whole_text(signatures, samples)


def spelled(text_by_step):
    """Log-probabilities of one symbol a step; `_` is the blank."""
    numbers = [0 if sign == "_" else ALPHABET.index(sign) + 1 for sign in text_by_step]
    probabilities = np.full((1, len(numbers), len(ALPHABET) + 1), 0.025, np.float32)
    probabilities[0, np.arange(len(numbers)), numbers] = 0.9
    return tf.math.log(probabilities), tf.constant([len(numbers)])


def test_words_have_the_times_of_their_first_and_last_symbols():
    found = Answers(ALPHABET).whole(*spelled("__aab_ _ bb_bc_ "))
    assert found["text"].numpy()[0] == b"ab bbc"
    assert found["words"].numpy()[0].tolist() == [b"ab", b"bbc", *[b""] * 6]
    np.testing.assert_allclose(found["start"][0], np.array([2, 9, *[0] * 6]) * SECONDS, rtol=1e-6)
    np.testing.assert_allclose(found["end"][0], np.array([5, 14, *[0] * 6]) * SECONDS, rtol=1e-6)
    assert found["confidence"].numpy()[0] == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("cut", range(1, 17))
def test_blanks_between_words_are_written_once_wherever_a_stream_is_cut(cut):
    answers = Answers(ALPHABET)
    logs, _ = spelled(" _ aab_ _  bb_bc_ ")
    likeliest = tf.argmax(logs, axis=-1, output_type=tf.int32)
    none = tf.constant([0])
    text, tail, before = b"", none, none
    for part in (logs[:, :cut], logs[:, cut:]):
        symbols, said = answers.emitted(part, tf.constant([part.shape[1]]), before)
        piece, tail = answers.text(symbols, said, tail)
        text, before = text + piece.numpy()[0], symbols[:, -1]
    assert text == b"ab bbc"
    assert likeliest.shape[1] == 18


def test_nothing_said_has_no_words():
    found = Answers(ALPHABET).whole(*spelled("____"))
    assert found["text"].numpy()[0] == b""
    assert set(found["words"].numpy().ravel()) == {b""}


def test_an_alphabet_without_a_blank_makes_one_word():
    found = Answers("17").whole(tf.math.log([[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]]), tf.constant([2]))
    assert found["words"].numpy().tolist() == [[b"17"]]


@pytest.mark.parametrize(
    "samples", [np.zeros(8000), np.full(8000, np.nan), np.full(8000, 1e9), np.zeros(1), np.zeros(0)]
)
def test_any_samples_are_answered(signatures, samples):
    whole_text(signatures, samples.astype(np.float32))


def test_a_length_beyond_the_samples_is_theirs(signatures):
    samples = tone("ab")
    call = signatures["serving_default"].function
    right, wrong = (call(samples=tf.constant(samples[None]), length=tf.constant([n]))["text"] for n in (8000, 99_999))
    assert right.numpy() == wrong.numpy()


@pytest.fixture
def call(signatures):
    function = tf.function(
        signatures["serving_default"].function
    )  # step by step in Python, half an hour would take minutes

    def answer(request):
        found = function(**{k: tf.constant(v) for k, v in request.items()})
        return {name: value.numpy() for name, value in found.items()}

    return answer


def test_files_are_answered_in_their_order(call, signatures, tmp_path):
    import soundfile

    texts = ["a", "cabc", "bc"]
    paths = []
    for text in texts:
        path = tmp_path / f"{text}.wav"
        soundfile.write(path, tone(text), RATE, subtype="FLOAT")
        paths.append(str(path))
    found = serving.predict(paths, FACTS, call)
    assert found["text"].tolist() == [whole_text(signatures, tone(text)) for text in texts]
    for row in range(3):
        assert len(found["words"][row]) == len(found["start"][row]) == len(found["end"][row])


def test_a_file_that_is_not_there_is_named(call):
    with pytest.raises(DataError, match=r"nowhere\.wav: cannot be read as sound"):
        serving.predict(["nowhere.wav"], FACTS, call)


@pytest.mark.parametrize("seconds", [1 / RATE, 0.03, 2.0])
@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_a_file_of_nothing_or_of_noise_has_an_answer(call, tmp_path, seconds, kind):
    import soundfile

    count = max(1, int(seconds * RATE))
    noise = np.random.default_rng(0).normal(0, 0.1, count)
    soundfile.write(tmp_path / "a.wav", noise if kind == "noise" else np.zeros(count), RATE)
    found = serving.predict([str(tmp_path / "a.wav")], FACTS, call)
    assert isinstance(found["text"][0], str)
    assert 0 < found["confidence"][0] <= 1
    assert len(found["words"][0]) == len(found["text"][0].split())


def test_half_an_hour_is_answered_like_any_other(signatures, call, tmp_path):
    """What is said in its last second is said as if it stood alone behind silence."""
    import soundfile

    half_hour, end = np.zeros(30 * 60 * RATE, np.float32), tone("cabca")
    half_hour[-len(end) :] = end
    soundfile.write(tmp_path / "long.flac", half_hour, RATE)
    found = serving.predict([str(tmp_path / "long.flac")], FACTS, call)
    short = whole_text(signatures, half_hour[-len(end) - 3 * RATE :])
    assert found["text"][0].endswith(short.strip()[-3:])
    assert found["end"][0][-1] > 30 * 60 - 2
