"""`shared.data.files`: text reads the same from every encoding of the file; an error names the file and the line."""

from __future__ import annotations

import gzip
import lzma

import pytest

from shared.data import files
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
        ("a.txt", "né, déjà\n".encode() + b"b\xe9d\n", "line 2: not UTF-8"),
        ("a.txt", b"\x00\x01", "zero bytes"),
        ("a.txt.gz", gzip.compress(b"text", mtime=0)[:-9], "cannot be read"),
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


@pytest.mark.parametrize(("name", "compress"), [("a.txt", bytes), ("a.txt.gz", gzip.compress)])
def test_only_line_feeds_end_a_line_and_any_bytes_are_read(tmp_path, name, compress):
    (tmp_path / name).write_bytes(compress(b"\xef\xbb\xbfone, two\r\n\ncaf\xe9 \x0b\xc2\x85 to the end\n"))
    assert files.read_lines(tmp_path / name) == ["one, two", "", "caf\udce9 \x0b\x85 to the end"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "the file is empty"),
        ("a.txt.gz", gzip.compress(b"text", mtime=0)[:-9], "cannot be read"),
        ("no.txt", None, "no such file"),
    ],
)
def test_error_names_a_file_without_lines(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: {message}"):
        files.read_lines(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("text", ["name,note\na,плохо и грязно\nb,хорошо\n", "name,note\na,部屋が汚い\nb,最高です\n"])
def test_utf16_without_a_byte_order_mark_is_recognized_in_any_script(encoding, text, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    assert files.read_text(path) == text


@pytest.mark.parametrize("position", [10, 9000])
def test_a_zero_byte_anywhere_in_a_text_file_names_its_line(position, tmp_path):
    path = tmp_path / "a.csv"
    content = b"good film\n" * 1000
    path.write_bytes(content[:position] + b"\x00" + content[position:])
    with pytest.raises(DataError, match=f"line {position // 10 + 1}: .*zero bytes.*tr -d"):
        files.read_text(path)


def test_a_file_that_is_mostly_utf8_is_not_converted_from_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("déjà\n".encode() * 9 + b"d\xe9j\xe0\n")
    with pytest.raises(DataError, match=r"line 10: not UTF-8.*The rest of the file is UTF-8.*iconv -c"):
        files.read_text(path)


def test_the_end_mark_of_dos_is_no_binary_content(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("très déçu, où\n".encode("cp1252") * 3 + b"\x1a")
    assert files.read_text(path).startswith("très déçu, où\n")
