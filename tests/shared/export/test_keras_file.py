"""`shared.export.keras_file`: plain models are loaded; files with programs, other files or excessive sizes raise an error."""

from __future__ import annotations

import io
import json
import stat
import zipfile

import keras
import numpy as np
import pytest

from shared.errors import ExportError
from shared.export import keras_file


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
    """Returns a function that rewrites the file with a changed configuration or additional members."""

    def rewrite(change=None, members=(), **options):
        with zipfile.ZipFile(saved) as archive:
            contents = {member.filename: archive.read(member) for member in archive.infolist()}
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


def find_layer(config, class_name):
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == class_name)


def assert_rejected(path, match):
    with pytest.raises(ExportError, match=match):
        keras_file.load(path)


def test_a_plain_model_is_loaded(model, saved):
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
        ("Custom", "my_package.layers"),
    ],
)
def test_layers_that_contain_programs_are_rejected(rewritten, class_name, module):
    def change(config):
        find_layer(config, "Dense").update(class_name=class_name, module=module, registered_name=None)

    assert_rejected(rewritten(change), "not a standard layer|not part of Keras|not a plain value")


def test_a_function_outside_keras_is_rejected(rewritten):
    def change(config):
        find_layer(config, "Dense")["config"]["activation"] = {
            "module": "subprocess", "class_name": "function", "config": "call", "registered_name": "function"
        }  # fmt: skip

    assert_rejected(rewritten(change), "may contain a program|not part of Keras")


def test_a_class_registered_under_another_name_is_rejected(rewritten):
    assert_rejected(
        rewritten(lambda config: find_layer(config, "Dense").update(registered_name="MyPackage>Dense")),
        "not a standard layer",
    )


def test_a_vocabulary_that_is_a_file_is_rejected(rewritten, tmp_path):
    (tmp_path / "secret.txt").write_text("a\nb\n")

    def change(config):
        find_layer(config, "TextVectorization")["config"]["vocabulary"] = str(tmp_path / "secret.txt")

    assert_rejected(rewritten(change), "vocabulary is a file name")


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "assets/../../out.txt", "more.py", "a\\b"])
def test_members_outside_the_archive_and_unexpected_members_are_rejected(rewritten, name):
    assert_rejected(rewritten(members=[(name, b"x")]), "outside the archive|unexpected file")


def test_links_are_rejected(rewritten):
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert_rejected(rewritten(members=[(link, b"/etc/passwd")]), "is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_member_is_rejected(rewritten):
    assert_rejected(rewritten(members=[("config.json", b"{}")]), "exactly once")


def test_a_zip_bomb_is_rejected_before_it_is_unpacked(rewritten):
    zeros = [("assets/zeros", bytes(64 * 2**20))]
    assert_rejected(rewritten(members=zeros, compression=zipfile.ZIP_DEFLATED), "too large for the size of the archive")


def test_a_layer_too_large_for_the_file_is_rejected(rewritten):
    """The layer has a hundred gigabytes of weights, the file a few kilobytes."""

    def change(config):
        lstm = find_layer(config, "LSTM")
        lstm["config"]["units"] = 80_000

    assert_rejected(rewritten(change), "cannot be loaded")


@pytest.mark.parametrize("fraction", [0.3, 0.9])
def test_a_truncated_file_is_rejected(saved, fraction):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(fraction * len(content))])
    assert_rejected(saved, "cannot be loaded")


def test_a_deeply_nested_configuration_is_rejected(rewritten, saved):
    with zipfile.ZipFile(saved) as archive:
        contents = {member.filename: archive.read(member) for member in archive.infolist()}
    contents["config.json"] = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    saved.write_bytes(buffer.getvalue())
    assert_rejected(saved, "cannot be loaded")


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.weights.h5"])
def test_other_formats_and_folders_are_rejected(saved, tmp_path, name):
    assert_rejected(saved.rename(tmp_path / name), r"expected a \.keras file")
    (tmp_path / "folder.keras").mkdir()
    assert_rejected(tmp_path / "folder.keras", r"expected a \.keras file")


def test_the_memory_limit_is_restored(saved):
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    keras_file.load(saved)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
