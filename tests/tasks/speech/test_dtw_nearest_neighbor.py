"""The baseline finds the recording with the same text, spoken at another speed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.speech import audio, dtw_nearest_neighbor
from tests.tasks.speech.conftest import tone


def test_a_slower_recording_gets_the_text_of_the_same_sounds(tmp_path):
    texts = ["ab", "ba", "cab", "abc"]
    fast = [tone(text, 0.2, k) for k, text in enumerate(texts)]
    slow = [tone(text, 0.3, 9 + k) for k, text in enumerate(texts)]
    cache_file, lengths = audio.cache_recordings(("tones",), iter(fast + slow), tmp_path)
    starts = np.cumsum(lengths) - lengths
    frame = pd.DataFrame({"text": texts * 2, "cache_file": str(cache_file), "start": starts, "length": lengths})
    assert dtw_nearest_neighbor.predict_texts(frame.iloc[:4], frame.iloc[4:]) == texts
