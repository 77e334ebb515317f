from __future__ import annotations

from shared.data.notices import add_notice, collect_notices, mute_notices


def test_notices_reach_all_collectors_once_and_are_shown_immediately():
    shown = []
    with collect_notices(shown.append) as outer, collect_notices() as inner:
        add_notice("prices.csv: 2 rows have no close; they are dropped.", rows=range(5, 20), hint="Fill them in.")
        add_notice("prices.csv: 2 rows have no close; they are dropped.", rows=range(5, 20), hint="Fill them in.")
    assert outer == inner == shown
    assert [str(notice) for notice in outer] == [
        "prices.csv: 2 rows have no close; they are dropped. First rows: 5, 6, 7. Fill them in."
    ]


def test_a_notice_without_a_collector_is_logged(caplog):
    add_notice("a.csv: one row is empty.", rows=[3])
    assert caplog.messages == ["a.csv: one row is empty. Row: 3."]


def test_muted_notices_reach_no_collector(caplog):
    with collect_notices() as notices:
        with mute_notices():
            add_notice("a.csv: the same in each batch.")
        add_notice("a.csv: once.")
    assert [str(notice) for notice in notices] == ["a.csv: once."]
    assert not caplog.messages
