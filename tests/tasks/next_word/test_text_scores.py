"""`score`: perplexity beside the rate of unknown words and the bits per character."""

from __future__ import annotations

import numpy as np
import pytest

from shared import workflow
from shared.config import PredictOptions
from shared.data.notices import collect_notices
from shared.task import Inputs, line_table

TEXTS = [
    "The value of the object is a string.",
    "",
    "中文文本 不知道 的 词",
    "The value of the object is a string. " * 40,
]


@pytest.mark.only_task("next_word")
def test_scores_equal_the_signature_and_unknown_words_are_noticed(trained):
    command = trained.task.commands["score"]
    with collect_notices() as notices:
        (rows,) = workflow.predict(
            trained.task, trained.version, [Inputs(line_table(TEXTS), TEXTS)], PredictOptions(), command=command
        )
    table = rows.table
    assert list(table.columns) == ["input", "tokens", "perplexity", "bits_per_character", "unknown_rate"]
    predictor = workflow.load_predictor(trained.version, "score")
    for k in (0, 3):
        outputs = predictor({"text": np.array([TEXTS[k].encode()], object)})
        assert table["perplexity"][k] == pytest.approx(outputs["perplexity"][0], rel=1e-4)
        assert table["tokens"][k] == (outputs["words"][0] != b"").sum()
        total = -outputs["log_probability"].sum() / np.log(2)
        assert table["bits_per_character"][k] == pytest.approx(total / len(TEXTS[k]), rel=1e-4)
    assert table["tokens"][1] == 0
    assert np.isnan(table["perplexity"][1])
    assert table["unknown_rate"][2] > 0.9
    assert table["unknown_rate"][0] < 0.2
    assert any("unknown to the model" in notice.message for notice in notices)
