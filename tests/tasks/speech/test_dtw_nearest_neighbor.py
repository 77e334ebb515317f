"""The baseline knows a recording by its like, spoken faster or slower."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.speech import audio, nearest
from tests.tasks.speech.conftest import tone


def test_a_slower_recording_is_known_by_its_text(tmp_path):
    texts = ["ab", "ba", "cab", "abc"]
    sounds = [tone(text, 0.2, k) for k, text in enumerate(texts)] + [
        tone(text, 0.3, 9 + k) for k, text in enumerate(texts)
    ]
    store, lengths = audio.kept(("tones",), iter(sounds), tmp_path)
    frame = pd.DataFrame(
        {"text": texts * 2, "store": str(store), "start": np.cumsum(lengths) - lengths, "length": lengths}
    )
    assert nearest.texts_of(frame.iloc[:4], frame.iloc[4:]) == texts
