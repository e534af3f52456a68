"""What was found of each route: kept as it was, the newest of each route counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pointsman.domain import Enforcement
from pointsman.errors import StoreError
from pointsman.store import CheckRow, Store, StoreConfig, open_store

FINDING = {"about": "off", "verdict": "kept", "sentence": "No token of thought in 3 answers.", "promise": True}


def row(route: str, moment: datetime, **changes: object) -> CheckRow:
    made = CheckRow(
        route,
        "qwen",
        "think",
        512,
        "vLLM",
        "0.32.0",
        "abc",
        Enforcement.NATIVE,
        (FINDING, {"about": "é\u200b"}),
        moment,
    )
    return replace(made, **changes)


def test_nothing_was_found_before_the_first_check(store: Store) -> None:
    store.add_checks([])
    assert store.checks() == []


def test_rows_come_back_as_they_were(store: Store, moment: datetime) -> None:
    rows = [row("a", moment), row("b", moment, thinking_budget=None, enforced=Enforcement.TWO_PASS, findings=())]
    store.add_checks(rows)
    assert store.checks() == rows


def test_the_newest_of_each_route_counts_whatever_its_clock_says(store: Store, moment: datetime) -> None:
    store.add_checks([row("a", moment), row("b", moment)])
    store.add_checks([row("a", moment - timedelta(days=1), enforced=Enforcement.NONE)])
    assert [(r.route, r.enforced) for r in store.checks()] == [("a", Enforcement.NONE), ("b", Enforcement.NATIVE)]


def test_a_name_that_no_database_takes_is_bent_not_refused(store: Store, moment: datetime) -> None:
    store.add_checks([row("a\0\ud800", moment, version="\0")])
    assert [(r.route, r.version) for r in store.checks()] == [("a\ufffd\ufffd", "\ufffd")]


def test_a_database_without_tables_is_an_error_in_words(url: str) -> None:
    with open_store(StoreConfig(url=url)) as opened, pytest.raises(StoreError, match="pointsman db upgrade"):
        opened.checks()
