"""New versions are taken up, old ones let go after their last answer; a broken one changes nothing."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared.export import MAX_WARMUP_RECORDS, WARMUP
from shared.serving.errors import ServingError
from shared.serving.models import AVAILABLE, END, UNLOADING, Version
from shared.serving.repository import Repository
from tests.shared.serving.conftest import write


@pytest.fixture
def repository(folder):
    found = Repository(folder)
    found.look()
    return found


def told_by(version: Version) -> int:
    """Returns the number that a version answers with."""
    return int(version.signature("serving_default")({"text": np.array([b"a"], object)})["version"][0])


def answered(repository: Repository, **asked) -> int:
    version = repository.version("small", **asked)
    with version.asked():
        return told_by(version)


def numbers(repository: Repository) -> list[int]:
    return [one.number for one in repository.versions("small") if one.state == AVAILABLE]


def add(repository: Repository, written: Path, number: int) -> None:
    shutil.copytree(written / "2", repository.folder / "small" / str(number))
    repository.look()


def test_the_newest_answers_and_labels_name_the_two(repository, written):
    assert [answered(repository, label=label) for label in (None, "stable", "canary")] == [1, 1, 1]
    add(repository, written, 2)
    assert [answered(repository, label=label) for label in (None, "stable", "canary")] == [2, 1, 2]
    assert answered(repository, number=1) == 1


def test_of_more_than_two_the_oldest_go(repository, written):
    for number in (2, 3):
        add(repository, written, number)
    assert numbers(repository) == [3, 2]
    with pytest.raises(ServingError, match=r"Specific\(small, 1\). There are versions 2, 3"):
        repository.version("small", 1)


def test_a_version_goes_only_after_its_last_answer(repository, written):
    old = repository.version("small")
    add(repository, written, 2)
    shutil.copytree(written / "2", repository.folder / "small" / "3")
    with old.asked():
        thread = threading.Thread(target=repository.look)
        thread.start()
        while old.state != UNLOADING:
            time.sleep(0.01)
        assert told_by(old) == 1
        with pytest.raises(ServingError, match="is UNLOADING"), old.asked():
            pass
        assert answered(repository) == 2
    thread.join(10)
    assert old.state == END
    assert numbers(repository) == [3, 2]


def test_a_version_that_is_copied_slowly_is_taken_up_when_it_is_whole(repository, written):
    place = repository.folder / "small" / "2"
    place.mkdir()
    shutil.copy2(written / "2" / "saved_model.pb", place)
    repository.look()
    assert (numbers(repository), repository.versions("small")[0].state) == ([1], END)
    shutil.copytree(written / "2" / "variables", place / "variables")
    repository.look()
    assert answered(repository) == 2


def test_broken_versions_do_not_count_among_those_that_are_served(repository, written):
    add(repository, written, 2)
    for number in ("3", "4"):
        (repository.folder / "small" / number).mkdir()
    repository.look()
    assert numbers(repository) == [2, 1]
    anew = Repository(repository.folder)
    anew.look()
    assert numbers(anew) == [2, 1]
    assert [answered(anew, label=label) for label in ("stable", "canary")] == [1, 2]


def test_one_folder_that_cannot_be_looked_at_hides_no_other(repository, monkeypatch):
    import os

    (repository.folder / "another" / "1").mkdir(parents=True)
    real = Path.iterdir

    def refusing(self):
        if self.name == "another":
            raise PermissionError(13, os.strerror(13), str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", refusing)
    anew = Repository(repository.folder)
    anew.look()
    assert answered(anew) == 1


@pytest.mark.parametrize("broken", ["empty", "cut", "half", "warm-up"])
def test_a_broken_version_leaves_the_others_and_is_taken_up_when_mended(repository, written, broken, tmp_path):
    place = repository.folder / "small" / "2"
    shutil.copytree(written / "2", place)
    if broken == "empty":
        shutil.rmtree(place)
        place.mkdir()
    elif broken == "cut":
        content = (place / "saved_model.pb").read_bytes()
        (place / "saved_model.pb").write_bytes(content[: len(content) // 2])
    elif broken == "half":
        shutil.rmtree(place / "variables")
    else:
        import tensorflow as tf

        (place / WARMUP).parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(place / WARMUP)) as file:
            for _ in range(MAX_WARMUP_RECORDS + 1):
                file.write(_record())
    repository.look()
    newest = repository.versions("small")[0]
    assert (newest.number, newest.state) == (2, END)
    assert newest.error
    assert answered(repository) == 1
    shutil.rmtree(place)
    write(repository.folder / "small", 2)
    repository.look()
    assert answered(repository) == 2


def _record() -> bytes:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    import tensorflow as tf

    request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return log.SerializeToString()


def test_an_emptied_folder_is_still_served(repository):
    shutil.rmtree(repository.folder / "small" / "1")
    repository.look()
    assert answered(repository) == 1
    shutil.rmtree(repository.folder / "small")
    repository.look()
    assert answered(repository) == 1


def test_only_plain_numbers_are_versions(repository):
    for name in ("01", "1x", "\u00b2", "9" * 19, ".incomplete-3", "runs"):
        shutil.copytree(repository.folder / "small" / "1", repository.folder / "small" / name)
    repository.look()
    assert numbers(repository) == [1]


def test_what_is_not_there_is_told(repository):
    for asked, status, words in (
        ({"name": "big"}, 404, r"Latest(big). There are small."),
        ({"name": "small", "number": 9}, 404, "Specific(small, 9)"),
        ({"name": "small", "label": "x"}, 400, 'label: "x"'),
        ({"name": "small", "label": "stable", "number": 1}, 400, "not both"),
    ):
        with pytest.raises(ServingError) as error:
            repository.version(**asked)
        assert error.value.status == status
        assert words in error.value.message


def test_a_model_none_of_whose_versions_can_be_loaded_is_unavailable_and_says_why(repository):
    place = repository.folder / "broken" / "1"
    place.mkdir(parents=True)
    (place / "saved_model.pb").write_bytes(b"no model")
    repository.look()
    with pytest.raises(ServingError, match="1 is END: ") as error:
        repository.version("broken")
    assert error.value.status == 503
    assert answered(repository) == 1
