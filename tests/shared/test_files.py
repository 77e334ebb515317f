"""`shared.files`: text reads the same from every encoding of the file; an error names the file and the line."""

from __future__ import annotations

import gzip
import lzma

import pytest

from shared import files
from shared.errors import DataError

TEXT = "one\ntwo \u00e9\n\nthree\n"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.xz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_text_is_independent_of_line_ends_and_compression(tmp_path, name, line_end):
    content = b"\xef\xbb\xbf" + TEXT.replace("\n", line_end).encode()
    compress = {"gz": gzip.compress, "xz": lzma.compress}.get(name.rsplit(".", 1)[1], bytes)
    (tmp_path / name).write_bytes(compress(content))
    assert files.read_text(tmp_path / name) == TEXT
    assert files.file_format(tmp_path / name) == ".txt"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good\nb\xe9d\n", "line 2: not UTF-8"),
        ("a.txt", b"\x00\x01", "zero bytes"),
        ("a.txt.gz", b"not an archive", "cannot be read"),
        ("a.txt.xz", lzma.compress(b"text" * 99)[:-20], "cannot be read"),
    ],
)
def test_error_names_a_file_that_is_not_text(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        files.read_text(tmp_path / name)
    assert name in str(raised.value)


def test_missing_file_raises_an_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        files.read_text(tmp_path / "no.txt")
