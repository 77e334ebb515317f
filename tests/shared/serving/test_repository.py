"""New versions are loaded, old versions unloaded after their last request; a broken version does not affect the others."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from shared.export.publishing import MAX_WARMUP_RECORDS, WARMUP
from shared.serving.errors import ServingError
from shared.serving.models import AVAILABLE, END, UNLOADING, ModelVersion
from shared.serving.repository import Repository
from tests.shared.serving.conftest import write_version


@pytest.fixture
def repository(models_folder):
    repository = Repository(models_folder)
    repository.scan()
    return repository


def predict_version(version: ModelVersion) -> int:
    """Returns the version number in the outputs of a version."""
    outputs = version.get_signature("serving_default")({"text": np.array([b"a"], object)})
    return int(outputs["version"][0])


def predict(repository: Repository, **request) -> int:
    version = repository.find_version("small", **request)
    with version.in_use():
        return predict_version(version)


def available_versions(repository: Repository) -> list[int]:
    return [one.version for one in repository.list_versions("small") if one.state == AVAILABLE]


def add_version(repository: Repository, versions: Path, number: int) -> None:
    shutil.copytree(versions / "2", repository.folder / "small" / str(number))
    repository.scan()


def test_the_newest_version_is_the_default_and_labels_name_the_two_newest(repository, versions):
    assert [predict(repository, label=label) for label in (None, "stable", "canary")] == [1, 1, 1]
    add_version(repository, versions, 2)
    assert [predict(repository, label=label) for label in (None, "stable", "canary")] == [2, 1, 2]
    assert predict(repository, version=1) == 1


def test_only_the_two_newest_versions_stay_loaded(repository, versions):
    for number in (2, 3):
        add_version(repository, versions, number)
    assert available_versions(repository) == [3, 2]
    with pytest.raises(ServingError, match=r"Specific\(small, 1\). The versions are: 2, 3"):
        repository.find_version("small", 1)


def test_a_version_is_unloaded_only_after_its_last_request(repository, versions):
    old = repository.find_version("small")
    add_version(repository, versions, 2)
    shutil.copytree(versions / "2", repository.folder / "small" / "3")
    with old.in_use():
        thread = threading.Thread(target=repository.scan)
        thread.start()
        while old.state != UNLOADING:
            time.sleep(0.01)
        assert predict_version(old) == 1
        with pytest.raises(ServingError, match="is UNLOADING"), old.in_use():
            pass
        assert predict(repository) == 2
    thread.join(10)
    assert old.state == END
    assert available_versions(repository) == [3, 2]


def test_a_version_that_is_copied_slowly_is_loaded_when_it_is_complete(repository, versions):
    folder = repository.folder / "small" / "2"
    folder.mkdir()
    shutil.copy2(versions / "2" / "saved_model.pb", folder)
    repository.scan()
    assert (available_versions(repository), repository.list_versions("small")[0].state) == ([1], END)
    shutil.copytree(versions / "2" / "variables", folder / "variables")
    repository.scan()
    assert predict(repository) == 2


def test_broken_versions_do_not_count_as_served(repository, versions):
    add_version(repository, versions, 2)
    for number in ("3", "4"):
        (repository.folder / "small" / number).mkdir()
    repository.scan()
    assert available_versions(repository) == [2, 1]
    restarted = Repository(repository.folder)
    restarted.scan()
    assert available_versions(restarted) == [2, 1]
    assert [predict(restarted, label=label) for label in ("stable", "canary")] == [1, 2]


def test_an_unreadable_folder_does_not_hide_the_others(repository, monkeypatch):
    (repository.folder / "another" / "1").mkdir(parents=True)
    original = Path.iterdir

    def iterdir(self):
        if self.name == "another":
            raise PermissionError(13, os.strerror(13), str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    restarted = Repository(repository.folder)
    restarted.scan()
    assert predict(restarted) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "half", "warm-up"])
def test_a_broken_version_does_not_affect_the_others_and_is_loaded_when_repaired(repository, versions, damage):
    folder = repository.folder / "small" / "2"
    shutil.copytree(versions / "2", folder)
    if damage == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif damage == "cut":
        content = (folder / "saved_model.pb").read_bytes()
        (folder / "saved_model.pb").write_bytes(content[: len(content) // 2])
    elif damage == "half":
        shutil.rmtree(folder / "variables")
    else:
        (folder / WARMUP).parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / WARMUP)) as file:
            for _ in range(MAX_WARMUP_RECORDS + 1):
                file.write(warm_up_record())
    repository.scan()
    newest = repository.list_versions("small")[0]
    assert (newest.version, newest.state) == (2, END)
    assert newest.error
    assert predict(repository) == 1
    shutil.rmtree(folder)
    write_version(repository.folder / "small", 2)
    repository.scan()
    assert predict(repository) == 2


def warm_up_record() -> bytes:
    request = predict_pb2.PredictRequest()
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return log.SerializeToString()


def test_the_last_version_stays_available_after_its_folder_is_deleted(repository):
    shutil.rmtree(repository.folder / "small" / "1")
    repository.scan()
    assert predict(repository) == 1
    shutil.rmtree(repository.folder / "small")
    repository.scan()
    assert predict(repository) == 1


def test_only_folders_with_plain_numbers_are_versions(repository):
    for name in ("01", "1x", "\u00b2", "9" * 19, ".incomplete-3", "runs"):
        shutil.copytree(repository.folder / "small" / "1", repository.folder / "small" / name)
    repository.scan()
    assert available_versions(repository) == [1]


def test_before_the_end_of_the_first_scan_an_unknown_model_may_still_be_loaded(repository):
    with pytest.raises(ServingError, match="big: the server still loads the models") as error:
        repository.find_version("big")
    assert error.value.status == 503


def test_unknown_models_versions_and_labels_are_errors(repository):
    repository.first_scan_done.set()
    for request, status, text in (
        ({"name": "big"}, 404, r"Latest(big). The models are: small."),
        ({"name": "small", "version": 9}, 404, "Specific(small, 9)"),
        ({"name": "small", "label": "x"}, 400, 'label: "x"'),
        ({"name": "small", "label": "stable", "version": 1}, 400, "only one of them"),
    ):
        with pytest.raises(ServingError) as error:
            repository.find_version(**request)
        assert error.value.status == status
        assert text in error.value.message


def test_a_model_without_a_loadable_version_is_unavailable_and_the_error_gives_the_reason(repository):
    folder = repository.folder / "broken" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"not a model")
    repository.scan()
    with pytest.raises(ServingError, match="1 is END: ") as error:
        repository.find_version("broken")
    assert error.value.status == 503
    assert predict(repository) == 1
