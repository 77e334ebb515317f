"""Plain models are opened; what holds programs, leads elsewhere or wants the whole machine is refused."""

from __future__ import annotations

import io
import json
import stat
import zipfile

import keras
import numpy as np
import pytest

from shared import keras_file
from shared.errors import ExportError


@pytest.fixture
def model():
    text = keras.Input((), dtype="string")
    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], name="words")(text)
    hidden = keras.layers.LSTM(4)(keras.layers.Embedding(4, 3)(words))
    return keras.Model(text, keras.layers.Dense(2, activation="softmax")(hidden))


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def rewritten(saved):
    """Writes the file anew, its configuration changed, members added or put in another's place."""

    def rewrite(change=None, members=(), **options):
        with zipfile.ZipFile(saved) as archive:
            contents = {one.filename: archive.read(one) for one in archive.infolist()}
        if change is not None:
            config = json.loads(contents["config.json"])
            change(config)
            contents["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(saved, "w", **options) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
            for name, content in members:
                archive.writestr(name, content)
        return saved

    return rewrite


def layer(config, class_name):
    return next(one for one in config["config"]["layers"] if one["class_name"] == class_name)


def refused(path, match):
    with pytest.raises(ExportError, match=match):
        keras_file.load(path)


def test_a_plain_model_comes_back(model, saved):
    import tensorflow as tf

    texts = tf.constant(["good bad", "what"])
    np.testing.assert_allclose(keras_file.load(saved)(texts), model(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("class_name", "module"),
    [
        ("Lambda", "keras.layers"),
        ("TFSMLayer", "keras.layers"),
        ("system", "os"),
        ("eval", "builtins"),
        ("Own", "mine.layers"),
    ],
)
def test_layers_that_hold_programs_are_refused(rewritten, class_name, module):
    def change(config):
        layer(config, "Dense").update(class_name=class_name, module=module, registered_name=None)

    refused(rewritten(change), "no stock layer|not of Keras|no value")


def test_a_foreign_function_is_refused(rewritten):
    def change(config):
        layer(config, "Dense")["config"]["activation"] = {
            "module": "subprocess", "class_name": "function", "config": "call", "registered_name": "function"
        }  # fmt: skip

    refused(rewritten(change), "may hold a program|not of Keras")


def test_a_class_that_is_registered_under_another_name_is_refused(rewritten):
    refused(rewritten(lambda config: layer(config, "Dense").update(registered_name="Mine>Dense")), "no stock layer")


def test_a_vocabulary_that_is_a_file_is_refused(rewritten, tmp_path):
    (tmp_path / "secret.txt").write_text("a\nb\n")

    def change(config):
        layer(config, "TextVectorization")["config"]["vocabulary"] = str(tmp_path / "secret.txt")

    refused(rewritten(change), "vocabulary names a file")


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "assets/../../out.txt", "more.py", "a\\b"])
def test_members_that_lead_out_or_do_not_belong_are_refused(rewritten, name):
    refused(rewritten(members=[(name, b"x")]), "leads out|does not belong")


def test_links_are_refused(rewritten):
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(rewritten(members=[(link, b"/etc/passwd")]), "is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(rewritten):
    refused(rewritten(members=[("config.json", b"{}")]), "once")


def test_a_bomb_is_refused_before_it_is_unpacked(rewritten):
    zeros = [("assets/zeros", bytes(64 * 2**20))]
    refused(rewritten(members=zeros, compression=zipfile.ZIP_DEFLATED), "far more than its size")


def test_sizes_that_the_file_does_not_explain_are_refused(rewritten):
    """A hundred gigabytes of weights in a file of a few kilobytes."""

    def change(config):
        dense = layer(config, "LSTM")
        dense["config"]["units"] = 80_000

    refused(rewritten(change), "cannot be opened")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_is_cut_short_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    refused(saved, "cannot be opened")


def test_a_configuration_nested_without_end_is_refused(rewritten, saved):
    with zipfile.ZipFile(saved) as archive:
        contents = {one.filename: archive.read(one) for one in archive.infolist()}
    contents["config.json"] = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    saved.write_bytes(buffer.getvalue())
    refused(saved, "cannot be opened")


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.weights.h5"])
def test_other_formats_and_folders_are_refused(saved, tmp_path, name):
    refused(saved.rename(tmp_path / name), r"expected a \.keras file")
    (tmp_path / "folder.keras").mkdir()
    refused(tmp_path / "folder.keras", r"expected a \.keras file")


def test_the_memory_limit_is_lifted_again(saved):
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    keras_file.load(saved)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
