"""Files of transactions with lines above the header and below the last transaction."""

from __future__ import annotations

import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud import data
from tasks.fraud.config import ColumnsConfig, FraudConfig

COLUMNS = ColumnsConfig(card="card", terminal=None, time="time", amount="amount", label="fraud")
TABLE = "card;time;amount;fraud\nA;2025-03-01 10:00:00;1.234,50;0\nB;2025-03-02 10:00:00;987,10;1\n"


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "bank.csv").write_text(content)
        with collect_notices() as notices:
            frame = data.read(FraudConfig(columns=COLUMNS), str(tmp_path / "bank.csv"))
        return frame, "\n".join(map(str, notices))

    return read


@pytest.mark.parametrize("preamble", ["Bank export\nAccount;123\n\n", "Bank export;;;\nAccount;123;;\n;;;\n"])
def test_lines_above_the_header_are_skipped_with_a_notice(preamble, read):
    frame, notices = read(preamble + TABLE)
    assert frame["amount"].tolist() == pytest.approx([1234.5, 987.1])
    assert 'skipped lines before the header: 3, from "Bank export' in notices


@pytest.mark.parametrize(
    ("footer", "notice"),
    [
        ("Total;;;\n", 'dropped rows at the end that are no transactions: 1, from "Total".'),
        (";;;\n;;;\n", "2 empty records at the end left out."),
    ],
)
def test_rows_at_the_end_that_are_no_transactions_are_dropped_with_a_notice(footer, notice, read):
    frame, notices = read(TABLE + footer)
    assert frame["card"].tolist() == ["A", "B"]
    assert notice in notices


def test_a_transaction_at_the_end_with_one_empty_cell_stays_an_error(read):
    with pytest.raises(DataError, match='row 3: column "amount" is empty'):
        read(TABLE + "C;2025-03-02 11:00:00;;0\n")
