"""Text is the same however it is stored, and what is none is told by file and line."""

from __future__ import annotations

import gzip
import lzma

import pytest

from shared import files
from shared.errors import DataError

TEXT = "one\ntwo \u00e9\n\nthree\n"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.xz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_is_read_alike_with_any_line_ends_and_compression(tmp_path, name, end):
    content = b"\xef\xbb\xbf" + TEXT.replace("\n", end).encode()
    pack = {"gz": gzip.compress, "xz": lzma.compress}.get(name.rsplit(".", 1)[1], bytes)
    (tmp_path / name).write_bytes(pack(content))
    assert files.read_text(tmp_path / name) == TEXT
    assert files.file_format(tmp_path / name) == ".txt"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"fine\nb\xe9d\n", "line 2: not UTF-8"),
        ("a.txt", b"\x00\x01", "zero bytes"),
        ("a.txt.gz", b"no archive", "cannot be read"),
        ("a.txt.xz", lzma.compress(b"text" * 99)[:-20], "cannot be read"),
    ],
)
def test_what_is_no_text_is_told_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        files.read_text(tmp_path / name)
    assert name in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        files.read_text(tmp_path / "no.txt")
