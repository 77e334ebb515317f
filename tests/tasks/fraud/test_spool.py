"""The transactions of a file are read in chunks, and come back in time order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from shared.data import chunks
from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud import state
from tasks.fraud.config import ColumnsConfig, FraudConfig
from tasks.fraud.spool import POSITION, read_spool
from tasks.fraud.states import transaction_ids
from tasks.fraud.stored_files import records_digest
from tasks.fraud.transactions import read_transactions

METADATA = {"columns": {"numeric": [], "categorical": [], "time_format": None}}
COLUMNS = ColumnsConfig(card="card", time="when", amount="amount", terminal="shop", label="fraud")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes rows as a file that is read in chunks of 3 rows; returns its configuration."""
    monkeypatch.setattr(chunks, "ROWS_PER_CHUNK", 3)

    def write(times, amounts=None, **columns):
        count = len(times)
        table = pd.DataFrame({"card": "ann", "shop": "baker", "when": times, "amount": amounts or [1.5] * count})
        table.assign(**columns).to_csv(tmp_path / "a.csv", index=False)
        return FraudConfig(columns=COLUMNS, data=str(tmp_path / "a.csv"))

    return write


def test_the_transactions_come_in_time_order_with_the_types_and_digest_of_the_whole_table(config):
    times = [f"2025-03-01 {hour:02d}:00" for hour in (5, 3, 9, 1, 3, 7, 0)]
    file = config(times, [1.25, 2, 3, 4, 5, 6, 7], card=[12, 7, 12, 7, 12, 7, 12], fraud=[0, 1, "", 0, 1, 0, 0])
    spool = read_spool(file, METADATA, skips_errors=False)
    expected = read_transactions(file, file.data, METADATA).records
    assert (spool.count, spool.digest) == (7, records_digest(expected))
    order = np.argsort(expected["time"].to_numpy(), kind="stable")
    result = pd.concat(spool.batches(0, 2), ignore_index=True)
    assert result.pop(POSITION).tolist() == order.tolist()
    pd.testing.assert_frame_equal(result, expected.iloc[order].reset_index(drop=True))
    assert [len(batch) for batch in spool.batches(4, 2)] == [2, 1]


def test_the_whole_file_shows_the_order_of_day_and_month(config):
    file = config(["01/03/2025 10:00", "02/03/2025 10:00", "03/04/2025 10:00", "04/03/2025 10:00", "25/03/2025 10:00"])
    remembered = {"columns": {**METADATA["columns"], "time_format": "%m/%d/%Y"}}
    for metadata in (METADATA, remembered):
        trained = metadata["columns"]["time_format"]
        one = dataclasses.replace(file, columns=dataclasses.replace(file.columns, time_format=trained))
        days = read_spool(one, metadata, skips_errors=False).read_all()["time"].to_numpy().astype("datetime64[s]")
        assert days.astype("datetime64[D]").astype(str).tolist() == [
            *("2025-03-01", "2025-03-02", "2025-03-04", "2025-03-25", "2025-04-03")
        ]


def test_a_row_that_cannot_be_used_is_counted_from_the_start_of_the_file(config):
    file = config(["2025-03-01 10:00"] * 4 + ["soon", "2025-03-01 10:00"])
    with pytest.raises(DataError, match=r'a\.csv, row 5: column "when" is "soon"'):
        read_spool(file, METADATA, skips_errors=False)
    with collect_notices() as notices:
        assert read_spool(file, METADATA, skips_errors=True).read_all()[POSITION].tolist() == [0, 1, 2, 3, 5]
    assert "1 of 6 transactions cannot be used and were left out. Row: 5." in str(notices[-1])


def test_equal_transactions_have_different_numbers_across_batches(config):
    file = config(["2025-03-01 10:00"] * 7 + ["2025-03-01 11:00"], [1, 1, 2, 1, 1, 2, 1, 1])
    spool = read_spool(file, METADATA, skips_errors=False)
    same_time, ids = None, []
    for batch in spool.batches(0, 2):
        rows, same_time = state._with_ids(batch, same_time)
        ids += rows["id"].tolist()
    assert ids == transaction_ids(spool.read_all()).tolist()
    assert len(set(ids)) == 8


@pytest.mark.parametrize("labels", [["0", "1", "0", "-1", "1", "1"], ["-1", "1", "1", "0", "1", "0"]])
def test_labels_that_mean_one_thing_alone_and_another_with_0_are_an_error_in_any_chunk(config, labels):
    times = [f"2025-03-0{day} 05:00" for day in range(1, 7)]
    settings = config(times, fraud=labels)
    with pytest.raises(DataError, match='column "fraud" has both 0 and -1'):
        read_spool(settings, METADATA, skips_errors=False)
    named = dataclasses.replace(settings.columns, unlabelled=("-1",))
    assert read_spool(dataclasses.replace(settings, columns=named), METADATA, skips_errors=False).count == 6


def test_titles_and_a_total_that_begins_in_the_last_chunk_but_one_are_skipped(config, tmp_path):
    file = config([f"2025-03-0{day} 05:00" for day in range(1, 6)])
    table = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text("Bank export,,\n" + table + "Total,,,7.5\n,,,\n")
    with collect_notices() as notices:
        spool = read_spool(file, METADATA, skips_errors=False)
    assert spool.count == 5
    assert [str(notice).partition(": ")[2] for notice in notices] == [
        'skipped lines before the header: 1, from "Bank export,,".',
        'dropped rows at the end that are no transactions: 2, from "Total".',
    ]
