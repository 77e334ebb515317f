"""Bytes of .wav files with any header, for the tests of the speech task."""

from __future__ import annotations

import struct

import numpy as np

from tasks.speech.timing import SAMPLE_RATE


def pcm(samples) -> bytes:
    """Returns samples in [-1, 1] as 16-bit integers."""
    return np.round(np.asarray(samples) * 32767).astype("<i2").tobytes()


def chunk(name: bytes, content: bytes, size: int | None = None, is_padded: bool = True) -> bytes:
    """Returns a chunk of a .wav file, which may state another size than it has."""
    padding = b"\0" * (len(content) % 2) if is_padded else b""
    return name + struct.pack("<I", len(content) if size is None else size) + content + padding


def wav(data: bytes, size: int | None = None, before: bytes = b"", after: bytes = b"", **format_fields: int) -> bytes:
    """Returns a .wav file with these samples; `size` is the stated size of the data, `before` and `after` are further chunks.

    Args:
        format_fields: `tag`, `channels`, `rate` and `bits`, where they differ from 16-bit PCM mono at 16 kHz.
    """
    fields = {"tag": 1, "channels": 1, "rate": SAMPLE_RATE, "bits": 16} | format_fields
    frame = fields["channels"] * fields["bits"] // 8
    numbers = fields["tag"], fields["channels"], fields["rate"], fields["rate"] * frame, frame, fields["bits"]
    header = chunk(b"fmt ", struct.pack("<HHIIHH", *numbers))
    body = b"WAVE" + header + before + chunk(b"data", data, size) + after
    return chunk(b"RIFF", body, 0 if size == 0 else min(len(body), 0xFFFFFFFF))
