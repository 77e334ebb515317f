"""`shared.data.tables`: every format gives the same table; an error names the file, the place and the fix in one line."""

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from shared.data import tables
from shared.data.chunks import read_chunks
from shared.data.notices import collect_notices
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


def zip_archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return file.getvalue()


SHEET = [["text", "label"], ["007", 1], ["NA", 0.0]]


def write_workbook(path: Path, sheets: dict[str, list[list[object]]]) -> str:
    """Writes an .xlsx file with the fewest parts that a spreadsheet program accepts; returns its path."""

    def cell(value: object) -> str:
        return (
            f"<c><v>{value}</v></c>" if not isinstance(value, str) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        )

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    entries = "".join(f'<sheet name="{n}" sheetId="{k}" r:id="r{k}"/>' for k, n in zip(numbers, sheets, strict=True))
    links = "".join(
        f'<Relationship Id="r{k}" Type="{relation}/worksheet" Target="worksheets/s{k}.xml"/>' for k in numbers
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"></Types>')
        root = f'<Relationship Id="r0" Type="{relation}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships">{root}</Relationships>')
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>{entries}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{links}</Relationships>'
        )
        for k, rows in zip(numbers, sheets.values(), strict=True):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/s{k}.xml", f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
            )
    return str(path)


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
        ("empty.csv.gz", gzip.compress(b"", mtime=0), ["is empty", "needs a header line"]),
        ("only_newlines.csv", b"\n\n", ["is empty", "needs a header line"]),
        ("only_newlines.jsonl", b"\n\n", ["no records", "at least one"]),
        ("header.csv", b"text,label\n", ["no records", "at least one"]),
        ("column.csv", b"review,stars\nfine,5\n", ['"text"', "The columns are review, stars", "command line"]),
        (
            "column.jsonl",
            b'{"review": "fine", "stars": 5}\n',
            ['"text"', "The columns are review, stars", "command line"],
        ),
        ("picture.csv", PNG, ["not a text file", "binary content", "rename it"]),
        (
            "broken.csv",
            "text,label\nnaïve,1\ngrün,0\nblau,1\n".encode() + b"gr\xfcn,0\n",
            ["line 5", "not UTF-8", "iconv"],
        ),
        (
            "short.csv",
            "text,label\nплохо,neg\nхорошо,pos\n".encode("cp1251"),
            ["cannot be decided", 'cp1251 ("плохо")', "iconv"],
        ),
        ("two.zip", zip_archive("a.csv", "b.csv"), ["2 files (a.csv, b.csv)", "Unpack it"]),
        ("low.csv", b"PK\x03\x04\x00\x00\nab\x00\n", ["cannot be read (", "complete"]),
        (
            "wide.csv",
            b"text,label\nwell, really,1\nno, not,0\n",
            ["row 1, line 2: 3 fields", "the header has 2", "double quotes"],
        ),
        ("ragged.csv", b"text,label\nfine,1\nwell, really,1\n", ["row 2, line 3: 3 fields", "double quotes"]),
        ("ragged.tsv", b"text\tlabel\nfine\t1\nwell\treally\t1\n", ["row 2, line 3: 3 fields", "a tab"]),
        (
            "quote.csv",
            b'text,label\n"a, b",0\n"never closed,1\nfine,0\n',
            ["row 2: a double quote begins a field and is never closed"],
        ),
        ("text.parquet", CSV, ["cannot be read as parquet", "rename it"]),
        ("broken.jsonl", b'{"text": "a", "label": 1}\n{"text": "b",\n', ["row 2", "rename it"]),
        ("list.json", b'[{"text": "a", "label": 1}, 2]\n', ["row 2", "rename it"]),
        ("lengths.json", b'{"text": ["a"], "label": [1, 2]}\n', ["arrays of one length", "rename it"]),
        ("plain.jsonl.bz2", CSV, ["cannot be read as jsonl", "rename it"]),
        ("cut.csv.gz", gzip.compress(CSV, mtime=0)[:-9], ["cannot be read (", "complete"]),
        ("damaged.csv.gz", damaged_gzip(), ["cannot be read (", "complete"]),
        ("page.csv", b"\n<!DOCTYPE html>\n<html></html>", ["is an HTML page", "Download the file itself"]),
        ("reviews.docx", CSV, ["unknown file format", ".csv, .tsv"]),
        ("reviews.csv.zst", CSV, ["unknown file format", ".csv, .tsv"]),
        ("reviews", PNG, ["line 3: not a text file", "binary content"]),
        ("reviews.tar.gz", CSV, ["is an archive (.tar)", "Unpack it"]),
        ("empty.zip", zip_archive(), ["the archive contains no file"]),
        (
            "two.json",
            b'{"train": [{"text": "a"}], "test": [{"text": "b"}]}',
            ["train (1), test (1)", "a file of its own"],
        ),
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


def test_a_separator_that_gives_consistent_records_precedes_the_usual_one(tmp_path):
    (tmp_path / "r.tsv").write_text("text;label\nfine;1\n")
    (tmp_path / "r.csv").write_text("name, first;label\nfine;1\nwell, really, so;0\n")
    assert tables.read_all(str(tmp_path / "r.tsv")).columns.tolist() == ["text", "label"]
    assert tables.read_all(str(tmp_path / "r.csv"))["label"].tolist() == ["1", "0"]


def test_a_separator_may_end_each_record(tmp_path):
    (tmp_path / "r.csv").write_text("text,label\nfine,1,\ndull,0,\n")
    assert tables.read_all(str(tmp_path / "r.csv")).to_numpy().tolist() == [["fine", "1"], ["dull", "0"]]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('label\ttext\nneg\t"bad\nSent from my iPhone"\npos\tgood\n', ["bad\nSent from my iPhone", "good"]),
        ('label\ttext\r\nneg\t"bad\r\n\r\nbye"\r\npos\tgood\r\n', ["bad\r\n\r\nbye", "good"]),
        ('label\ttext\nneg\t"a ""bad"" film"\npos\tgood\n', ['a "bad" film', "good"]),
        ('label\ttext\nneg\t"bad film"\npos\tso "good\n', ['"bad film"', 'so "good']),
        ('label\ttext\nneg\t5" long\npos\t"never closed\n', ['5" long', '"never closed']),
    ],
)
def test_quotes_enclose_the_fields_of_a_tsv_only_if_its_records_are_then_consistent(tmp_path, content, texts):
    (tmp_path / "r.tsv").write_bytes(content.encode())
    frame = tables.read_table(str(tmp_path / "r.tsv"), ["text", "label"])
    assert frame["text"].tolist() == texts
    assert frame["label"].tolist() == ["neg", "pos"]


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"text,label\nfine,1\ndull,0\n", ["1", "0"]),
        (b"Meinung,Note\ngut,1\nschlecht,0\n", ["1", "0"]),
        (b"good,pos\ndull,neg\n", ["pos", "neg"]),
        (b"good,5\ndull,1\n", ["5", "1"]),
        (b"text,1\ndull,0\n", ["1", "0"]),
        (b"text,spam\ndull,spam\nfine,ham\n", ["spam", "ham"]),
        (b"0,1\ndull,neg\nfine,pos\n", ["neg", "pos"]),
        (b"reviewText,verdict\ndull,neg\nfine,pos\n", ["neg", "pos"]),
    ],
)
def test_a_header_is_not_a_record_of_a_table_that_is_read_by_position(tmp_path, content, labels):
    (tmp_path / "r.csv").write_bytes(content)
    with collect_notices() as notices:
        frame = tables.read_table(str(tmp_path / "r.csv"), ["0", "1"])
    assert frame["1"].tolist() == labels
    assert [notice.message for notice in notices] == (
        [
            f"{tmp_path}/r.csv: the first line ({content.decode().splitlines()[0].replace(',', ', ')}) looks like a header and is not a "
            "record; it was left out."
        ]
        if content.count(b"\n") > 2
        else []
    )


def test_the_error_for_a_record_as_header_proposes_positions(tmp_path):
    (tmp_path / "r.csv").write_text("the film was good,1\ndull,0\n")
    with pytest.raises(DataError, match=r"If the file has no header, .* such as --columns\.text 0\."):
        tables.read_table(str(tmp_path / "r.csv"), COLUMNS, options={"text": "--columns.text"})


def test_the_error_for_a_missing_column_shows_blanks_and_invisible_characters(tmp_path):
    (tmp_path / "r.csv").write_text("text ,la\u200bbel\nfine,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r'The columns are "text ", "la\\u200bbel"\.'):
        tables.read_table(str(tmp_path / "r.csv"), COLUMNS)


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a", "label": 1},\n {"text": "b", "label": 0}]',
        '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n',
        '{"text": ["a", "b"], "label": [1, 0]}',
        '{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}',
        '{\n "text": ["a",\n "b"],\n "label": [1, 0]\n}',
        '{"version": 2, "data": [{"text": "a", "label": 1}, {"text": "b", "label": 0}]}',
        '{"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 0]]}',
    ],
)
def test_json_may_be_lines_an_array_or_an_object_of_columns(tmp_path, content, suffix):
    (tmp_path / f"r.{suffix}").write_text(content)
    frame = tables.read_table(str(tmp_path / f"r.{suffix}"), COLUMNS)
    assert frame.to_numpy().tolist() == [["a", 1], ["b", 0]]


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("r.csv", gzip.compress),
        ("r.csv", lzma.compress),
        ("r.csv", bz2.compress),
        ("r.csv.gz", bytes),
        ("r.csv.gz", bz2.compress),
        ("r.zip", lambda _: zip_archive("reviews.csv")),
        ("r.csv", lambda _: zip_archive("__MACOSX/._r.csv", "r.csv")),
    ],
)
def test_compression_is_recognized_by_the_content(tmp_path, name, compress):
    (tmp_path / name).write_bytes(compress(CSV))
    assert tables.read_table(str(tmp_path / name), COLUMNS)["label"].tolist() == ["1", "0"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.jsonl", "r.tsv"])
def test_unicode_is_read_with_and_without_a_byte_order_mark(tmp_path, name, encoding):
    lines = {
        "csv": "text,label\r\nnaïve,1\r\n",
        "jsonl": '{"text": "naïve", "label": "1"}\n',
        "tsv": "text\tlabel\nnaïve\t1\n",
    }
    content = lines[name.split(".")[1]].encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with collect_notices() as notices:
        assert tables.read_table(str(tmp_path / name), COLUMNS).iloc[0].tolist() == ["naïve", "1"]
    assert [encoding.upper() in notice.message for notice in notices] == [True] * (encoding != "utf-8-sig")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Der Anschluss blinkt ständig, ich möchte kündigen"),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy, závěr mě zklamal"),
        ("cp1251", "Книга была очень интересная, но конец разочаровал"),
        ("cp1251", "and фильм очень хороший, и актёры тоже хорошие"),
        ("koi8_r", "and фильм очень хороший, и актёры тоже хорошие"),
        ("cp1253", "Το βιβλίο ήταν πολύ καλό, αλλά το τέλος με απογοήτευσε"),
        ("gb18030", "这本书非常有意思但是结局让我很失望酒店的服务很差"),
    ],
)
def test_a_code_page_is_detected_and_named(tmp_path, encoding, text):
    (tmp_path / "r.csv").write_bytes(f'text,label\n"{text}",1\n'.encode(encoding))
    with collect_notices() as notices:
        assert tables.read_table(str(tmp_path / "r.csv"), COLUMNS)["text"].tolist() == [text]
    assert f"read as {encoding}" in notices[0].message
    assert "iconv" in notices[0].hint


def test_a_spreadsheet_is_read_as_text_from_the_sheet_with_the_columns(tmp_path):
    frame = tables.read_table(
        write_workbook(tmp_path / "two.xlsx", {"Notes": [["note"], ["x"]], "Data": SHEET}), COLUMNS
    )
    assert frame.to_numpy().tolist() == [["007", "1"], ["NA", "0"]]
    with collect_notices() as notices:
        tables.read_all(write_workbook(tmp_path / "three.csv", {"A": SHEET, "B": SHEET}))
    assert 'read the sheet "A" of 2 (A, B)' in notices[0].message


def test_the_named_index_of_a_parquet_file_is_a_column(tmp_path):
    pd.DataFrame({"close": [1.0]}, index=pd.Index(["2020-01-02"], name="Date")).to_parquet(tmp_path / "r.parquet")
    assert tables.read_table(str(tmp_path / "r.parquet"), ["Date"])["Date"].tolist() == ["2020-01-02"]


def test_the_line_of_excel_that_names_the_separator_is_no_header(tmp_path):
    (tmp_path / "r.csv").write_text("sep=;\r\ntext;label\r\na, b;1\r\nc;0\r\n")
    assert tables.read_table(str(tmp_path / "r.csv"), COLUMNS).to_numpy().tolist() == [["a, b", "1"], ["c", "0"]]


def test_the_first_of_two_columns_with_one_name_is_used_with_a_notice(tmp_path):
    (tmp_path / "r.csv").write_text("text,label,text\na,1,b\n")
    with collect_notices() as notices:
        assert tables.read_table(str(tmp_path / "r.csv"), COLUMNS)["text"].tolist() == ["a"]
    assert 'several columns have the name "text"' in notices[0].message


def test_a_title_above_the_header_of_a_sheet_is_skipped_with_a_notice(tmp_path):
    rows = [["Export of May", ""], ["text", "label"], ["fine", 1], ["bad", 0]]
    three = [[*row, note] for row, note in zip(rows, ["", "note", "x", "y"], strict=True)]
    with collect_notices() as notices:
        frame = tables.read_all(write_workbook(tmp_path / "a.xlsx", {"A": three}))
    assert frame.to_dict("list") == {"text": ["fine", "bad"], "label": ["1", "0"], "note": ["x", "y"]}
    assert "skipped rows before the header" in str(notices[0])


def test_an_object_of_records_by_name_is_read_with_the_names_as_a_column(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"Meta": {"Symbol": "X"}, "Days": {"2024-01-05": {"close": "1"}, "2024-01-08": {"close": "2"}}}'
    )
    frame = tables.read_all(str(tmp_path / "a.json"))
    assert frame.to_dict("list") == {"index": ["2024-01-05", "2024-01-08"], "close": ["1", "2"]}


def test_an_error_lists_a_part_of_many_columns(tmp_path):
    (tmp_path / "a.csv").write_text(",".join(f"V{k}" for k in range(400)) + "\n" + ",".join(["1"] * 400) + "\n")
    with pytest.raises(DataError, match=r"V38, V39, … and 360 more\. Name the right one"):
        tables.read_table(str(tmp_path / "a.csv"), ["label"])


def test_escaped_quotes_belong_to_the_text(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('text,label\n"he said \\"good, good\\" twice",pos\n"plain",neg\n')
    frame = tables.read_table(str(path), ["text", "label"])
    assert frame["text"].tolist() == ['he said "good, good" twice', "plain"]


def test_two_unclosed_quotes_do_not_swallow_the_records_between_them(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('text,label\n"good,pos\nbad,neg\nfine,pos\n"dull,neg\n')
    with collect_notices() as notices:
        frame = tables.read_table(str(path), ["text", "label"])
    assert frame["label"].tolist() == ["pos", "neg", "pos", "neg"]
    assert "line 2" in notices[0].message
    assert "ordinary characters" in notices[0].message


def test_a_quote_that_swallows_records_is_noticed_if_other_fields_need_quotes(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('text,label\n"a, b",pos\n"good,pos\nbad,neg\n"well, dull",neg\n')
    with collect_notices() as notices, contextlib.suppress(DataError):
        tables.read_table(str(path), ["text", "label"])
    assert "line 3: a double quote closes a field before its end" in notices[0].message


@pytest.mark.parametrize("preamble", ["# exported by a shop\n", "Reviews 2024,\n,\n", "Title\n\n"])
def test_lines_before_the_header_are_skipped_with_a_notice(tmp_path, preamble):
    path = tmp_path / "r.csv"
    path.write_text(f'{preamble}text,label\ngood,pos\n"bad,\n too",neg\n')
    with collect_notices() as notices:
        frame = tables.read_table(str(path), ["text", "label"])
        (chunk,) = read_chunks(str(path), ["text"], {})
    assert frame["text"].tolist() == chunk.frame["text"].tolist() == ["good", "bad,\n too"]
    assert notices[0].message.startswith(f"{path}: skipped lines before the header: {preamble.count(chr(10))}, from")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SMSSpamCollection", b"text\tlabel\ngood\tpos\nbad\tneg\n"),
        ("reviews.data", b"text|label\ngood|pos\nbad|neg\n"),
        ("r.txt", b'[{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}]'),
        ("r.csv", b'{"text": "good", "label": "pos"}\n{"text": "bad", "label": "neg"}\n'),
        ("rows.json", b'{"a": {"text": "good", "label": "pos"}, "b": {"text": "bad", "label": "neg"}}'),
        (
            "deep.json",
            b'{"v": 1, "data": {"all": [{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}]}}',
        ),
        ("commas.jsonl", b'{"text": "good", "label": "pos"},\n{"text": "bad", "label": "neg"},\n'),
        ("pretty.jsonl", b'{\n "text": "good", "label": "pos"\n}\n{\n "text": "bad",\n "label": "neg"\n}\n'),
    ],
)
def test_the_content_shows_the_format(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert tables.is_table(str(path), "text")
    frame = tables.read_table(str(path), ["text", "label"])
    (chunk,) = read_chunks(str(path), ["text"], {})
    assert frame.to_dict("list") == chunk.frame.to_dict("list") == {"text": ["good", "bad"], "label": ["pos", "neg"]}


def test_an_archive_may_contain_descriptions_beside_the_data(tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(zip_archive("README.md", "readme.txt", "d/reviews.csv"))
    with collect_notices() as notices:
        assert len(tables.read_table(str(path), COLUMNS)) == 2
    assert "read d/reviews.csv" in notices[0].message


def test_a_sheet_may_have_titles_above_its_header_and_columns_of_one_name(tmp_path):
    sheet = [["Reviews 2024"], ["text", "label", "label"], ["good", "pos", "x"], ["bad", "neg", "y"]]
    path = write_workbook(tmp_path / "a.xlsx", {"S": sheet})
    with collect_notices() as notices:
        frame = tables.read_table(path, COLUMNS)
    assert frame["label"].tolist() == ["pos", "neg"]
    assert [notice.message.partition(": ")[2] for notice in notices] == [
        'skipped rows before the header, from "Reviews 2024".',
        'several columns have the name "label"; the first one is used.',
    ]
