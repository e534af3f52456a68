"""The register of artifacts and the history of promotions."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from pointsman.errors import NotFound
from pointsman.store import Action, Store, artifacts, tables
from pointsman.store.database import Database


@pytest.fixture
def three(store: Store, moment: datetime) -> Store:
    """A store with the artifacts a, b and c, in order of time."""
    for number, name in enumerate("abc"):
        store.register(name, f"artifacts/{name}", {"accuracy": 0.9}, moment + timedelta(days=number))
    return store


def serving(store: Store) -> str | None:
    row = store.serving()
    return row and row.id


def test_a_new_register_is_empty_and_has_nothing_to_go_back_to(store: Store) -> None:
    assert store.artifacts() == []
    assert store.serving() is None
    assert store.promotions() == []
    with pytest.raises(NotFound, match="none to roll back"):
        store.rollback()


def test_what_was_registered_is_listed_newest_first(three: Store, moment: datetime) -> None:
    three.promote("b")
    rows = three.artifacts()
    assert [(row.id, row.path, row.serving) for row in rows] == [
        ("c", "artifacts/c", False),
        ("b", "artifacts/b", True),
        ("a", "artifacts/a", False),
    ]
    assert (rows[2].report, rows[2].created_at) == ({"accuracy": 0.9}, moment)
    assert three.serving() == rows[1]


def test_registering_again_moves_the_folder_and_keeps_the_report(three: Store, moment: datetime) -> None:
    three.register("a", "elsewhere/a", {"other": 1}, moment + timedelta(days=9))
    row = three.artifacts()[-1]
    assert (row.id, row.path, row.report, row.created_at) == ("a", "elsewhere/a", {"accuracy": 0.9}, moment)


def test_rolling_back_goes_through_what_served_before_and_not_in_circles(three: Store) -> None:
    for name in "abc":
        three.promote(name)
    assert three.rollback() == "b"
    assert three.rollback() == "a", "a second time further back, not to c again"
    three.promote("c")
    assert three.rollback() == "a"
    assert serving(three) == "a"
    assert three.rollback() is None, "before the first one served what ships, or nothing"
    assert serving(three) is None
    with pytest.raises(NotFound):
        three.rollback()


def test_promoting_what_serves_changes_nothing(three: Store) -> None:
    three.promote("a")
    three.promote("b")
    three.promote("b")
    assert three.rollback() == "a"


def test_the_history_is_kept(three: Store) -> None:
    three.promote("a")
    three.promote("b")
    three.rollback()
    assert [(step.artifact, step.action) for step in three.promotions()] == [
        ("a", Action.PROMOTE),
        ("b", Action.PROMOTE),
        ("a", Action.ROLLBACK),
    ]


def test_an_unknown_artifact_cannot_be_promoted(three: Store) -> None:
    with pytest.raises(NotFound, match="'d'"):
        three.promote("d")
    assert three.serving() is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from("abc<"), max_size=8))
def test_what_serves_is_the_top_of_the_pile(shared_database: Database, steps: list[str]) -> None:
    """Any order of promotions and rollbacks, against a list."""
    with shared_database.writing() as connection:
        connection.execute(delete(tables.promotions))
    for name in "abc":
        artifacts.register(shared_database, name, name, {}, datetime(2030, 1, 1))
    pile: list[str] = []
    for step in steps:
        if step != "<":
            artifacts.promote(shared_database, step)
            pile += [step] if pile[-1:] != [step] else []
        elif pile:
            pile.pop()
            assert artifacts.rollback(shared_database) == (pile[-1] if pile else None)
    row = artifacts.serving(shared_database)
    assert (row and row.id) == (pile[-1] if pile else None)
