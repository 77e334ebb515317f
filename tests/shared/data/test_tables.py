"""`shared.data.tables`: every format gives the same table; an error names the file, the place and the fix in one line."""

import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from shared.data import tables
from shared.errors import DataError

COLUMNS = ["text", "label"]
RECORDS = pd.DataFrame(
    [('so "good", really', "1"), ("schlecht, naïve 悪い 😀", "0"), ("", "007"), ("NA", "null")], columns=COLUMNS
)
CSV = b"text,label\na good film,1\na bad film,0\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def write_records(path: Path) -> None:
    """Writes `RECORDS` in the format of the suffix; pandas compresses by the suffix."""
    name = path.name.lower()
    if ".csv" in name:
        RECORDS.to_csv(path, index=False)
    elif ".tsv" in name:
        lines = ["\t".join(row) for row in [COLUMNS, *RECORDS.to_numpy()]]
        opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
        with opener(path, "wb") as file:
            file.write("\n".join(lines).encode())
    elif ".jsonl" in name:
        RECORDS.to_json(path, orient="records", lines=True)
    else:
        RECORDS.to_parquet(path)


def zip_archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("reviews.csv", CSV)
    return file.getvalue()


def damaged_gzip() -> bytes:
    content = bytearray(gzip.compress(CSV + b"".join(b"film %d,%d\n" % (k * k, k) for k in range(5000))))
    content[3000:3010] = b"\xff" * 10
    return bytes(content)


@pytest.mark.parametrize(
    "name",
    "r.csv r.csv.gz r.csv.xz r.csv.bz2 R.CSV R.CSV.GZ r.v2.csv r.tsv r.tsv.gz r.tsv.xz r.jsonl r.jsonl.gz r.jsonl.xz "
    "r.parquet".split(),
)
def test_every_format_gives_the_same_table(tmp_path, name):
    write_records(tmp_path / name)
    frame = tables.read_table(str(tmp_path / name), COLUMNS)
    pd.testing.assert_frame_equal(frame, RECORDS, check_dtype=False)


def test_read_table_returns_exactly_the_requested_columns_in_order(tmp_path):
    (tmp_path / "r.csv").write_bytes(b"id,label,text\n1,pos,fine\n")
    assert tables.read_table(str(tmp_path / "r.csv"), COLUMNS).to_dict("list") == {"text": ["fine"], "label": ["pos"]}


@pytest.mark.parametrize(("name", "separator"), [("r.csv", ","), ("r.tsv", "\t"), ("r.txt", "\t")])
def test_columns_of_a_file_without_a_header_are_named_by_position(tmp_path, name, separator):
    (tmp_path / name).write_text(f"a good film{separator}1\na bad film{separator}0\n")
    frame = tables.read_table(str(tmp_path / name), ["1", "0"])
    assert frame.to_dict("list") == {"1": ["1", "0"], "0": ["a good film", "a bad film"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [("r.csv", CSV), ("r.jsonl", b'{"text": "a good film", "label": "1"}\n\n')],
    ids=["csv", "jsonl"],
)
def test_a_byte_order_mark_is_not_part_of_the_data(tmp_path, name, content):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
    frame = tables.read_table(str(tmp_path / name), COLUMNS)
    assert frame.iloc[0].tolist() == ["a good film", "1"]


def test_quoted_fields_may_contain_newlines_and_commas(tmp_path):
    (tmp_path / "r.csv").write_bytes(b'text,label\n"one, two\nthree ""four""",1\r\nplain,0\r\n')
    frame = tables.read_table(str(tmp_path / "r.csv"), COLUMNS)
    assert frame["text"].tolist() == ['one, two\nthree "four"', "plain"]
    assert frame["label"].tolist() == ["1", "0"]


def test_quotes_in_a_tsv_file_are_ordinary_characters(tmp_path):
    (tmp_path / "r.tsv").write_bytes(b'text\tlabel\n"open\t1\nclosed"\t0\n')
    assert tables.read_table(str(tmp_path / "r.tsv"), COLUMNS)["text"].tolist() == ['"open', 'closed"']


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "label\ttext\n1\tfine\n", True),
        ("a.txt", "\ufefftext\n", True),
        ("a.txt", "label;text\n1;fine\n", True),
        ("a.txt", "reveiw\tlabel\n", True),  # reading it then reports the missing column
        ("a.txt", "some text, and more\n", False),
        ("a.txt", "", False),
        ("a.csv", "label\n", True),  # reading it then reports the missing column
        ("a.md", "text\n", False),
    ],
)
def test_a_text_file_is_a_table_if_its_first_line_names_the_column_or_has_tabs(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert tables.is_table(str(tmp_path / name), "text") == expected


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("missing.csv", None, ["no such file", "Check the path"]),
        ("empty.csv", b"", ["is empty", "needs a header line"]),
        ("empty.csv.gz", gzip.compress(b""), ["is empty", "needs a header line"]),
        ("only_newlines.csv", b"\n\n", ["is empty", "needs a header line"]),
        ("only_newlines.jsonl", b"\n\n", ["no records", "at least one"]),
        ("header.csv", b"text,label\n", ["no records", "at least one"]),
        ("column.csv", b"review,stars\nfine,5\n", ['"text"', "The columns are review, stars", "command line"]),
        (
            "column.jsonl",
            b'{"review": "fine", "stars": 5}\n',
            ['"text"', "The columns are review, stars", "command line"],
        ),
        ("latin1.csv", "text,label\nfine,1\nnaïve,0\n".encode("latin-1"), ["line 3", "not UTF-8", "iconv"]),
        ("latin1.csv.gz", gzip.compress("text,label\nnaïve,0\n".encode("latin-1")), ["line 2", "not UTF-8", "iconv"]),
        ("latin1.jsonl", '{"text": "naïve"}\n'.encode("latin-1"), ["line 1", "not UTF-8", "iconv"]),
        ("utf16.csv", CSV.decode().encode("utf-16"), ["not UTF-8", "iconv"]),
        ("picture.csv", PNG, ["not UTF-8", "If it is a text file"]),
        ("archive.csv", zip_archive(), ["not UTF-8", "If it is a text file"]),
        ("low.csv", b"PK\x03\x04\x00\x00\nab\x00\n", ["binary content", "rename it"]),
        ("wide.csv", b"text,label\nwell, really,1\nno, not,0\n", ["row 1", "double quotes"]),
        ("ragged.csv", b"text,label\nfine,1\nwell, really,1\n", ["line 3", "rename it"]),
        ("quote.csv", b'text,label\n"never closed,1\nfine,0\n', ["row 1", "rename it"]),
        ("text.parquet", CSV, ["cannot be read as parquet", "rename it"]),
        ("broken.jsonl", b'{"text": "a", "label": 1}\n{"text": "b",\n', ["row 2", "rename it"]),
        ("list.jsonl", b'[{"text": "a", "label": 1}]\n', ["row 1", "rename it"]),
        ("plain.csv.gz", CSV, ["cannot be read as csv", "rename it"]),
        ("plain.csv.xz", CSV, ["cannot be read as csv", "rename it"]),
        ("plain.jsonl.bz2", CSV, ["cannot be read as jsonl", "rename it"]),
        ("cut.csv.gz", gzip.compress(CSV)[:-9], ["cannot be read as csv", "rename it"]),
        ("damaged.csv.gz", damaged_gzip(), ["cannot be read as csv", "rename it"]),
        ("reviews.docx", CSV, ["unknown file format", ".csv, .tsv"]),
        ("reviews.csv.zst", CSV, ["unknown file format", ".csv, .tsv"]),
        ("reviews", CSV, ["unknown file format", ".csv, .tsv"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_error_names_the_file_the_place_and_the_fix(tmp_path, name, content, fragments):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        tables.read_table(str(path), COLUMNS)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert all(fragment in message for fragment in fragments), message
    assert "\n" not in message


def test_error_for_a_missing_column_names_its_option(tmp_path):
    path = tmp_path / "payments.csv"
    path.write_bytes(b"account,booked\n1,2\n")
    with pytest.raises(DataError) as raised:
        tables.read_table(str(path), ["booked", "CUSTOMER_ID"], options={"CUSTOMER_ID": "--columns.card"})
    assert str(raised.value) == (
        f'{path}: no column "CUSTOMER_ID". The columns are account, booked. Name the right one with --columns.card.'
    )


def test_error_for_a_folder_gives_an_example(tmp_path):
    with pytest.raises(DataError, match="is a folder") as raised:
        tables.read_table(str(tmp_path), COLUMNS)
    assert str(tmp_path / "train.csv") in str(raised.value)


def test_a_txt_file_may_be_separated_by_commas_or_tabs(tmp_path):
    (tmp_path / "commas.txt").write_text("1.5,2\n3,4\n")
    (tmp_path / "tabs.txt").write_text("a\tb, c\nd\te, f\n")
    assert tables.read_all(str(tmp_path / "commas.txt"), headerless=True).to_numpy().tolist() == [
        ["1.5", "2"],
        ["3", "4"],
    ]
    assert tables.read_table(str(tmp_path / "tabs.txt"), ["1"])["1"].tolist() == ["b, c", "e, f"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_csv_may_have_other_separators_than_commas(tmp_path, separator):
    (tmp_path / "r.csv").write_text(
        f'"text, long"{separator}label\nwell, really{separator}1\n"a{separator}b"{separator}0\n'
    )
    frame = tables.read_table(str(tmp_path / "r.csv"), ["text, long", "label"])
    assert frame.to_numpy().tolist() == [["well, really", "1"], [f"a{separator}b", "0"]]


def test_commas_separate_a_csv_whose_first_line_also_has_other_separators(tmp_path):
    (tmp_path / "r.csv").write_text("text;short|er,label\nfine,1\n")
    assert tables.read_all(str(tmp_path / "r.csv")).columns.tolist() == ["text;short|er", "label"]


def test_only_tabs_separate_a_tsv(tmp_path):
    (tmp_path / "r.tsv").write_text("text;label\nfine;1\n")
    assert tables.read_all(str(tmp_path / "r.tsv")).columns.tolist() == ["text;label"]
