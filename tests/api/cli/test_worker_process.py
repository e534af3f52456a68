"""The worker as the parent holds it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from pointsman.api.cli.listening import listen, reachable
from pointsman.api.cli.worker_process import END_S, Orders, Worker, readiness, waited_for
from pointsman.api.service import STOP_S
from pointsman.errors import LaunchError
from pointsman.store import Store


def test_orders_reach_the_worker_without_secrets_in_its_arguments() -> None:
    """Settings of the command line go as JSON, the store's URL, which may hold a password, by the environment."""
    orders = Orders(Path("x.yaml"), {"home": "/h", "store": "postgresql://me:pw@db/x"}, {"port": 1})
    arguments = orders.arguments(7)
    assert arguments[arguments.index("--fd") + 1] == "7"
    assert Path(arguments[arguments.index("--config") + 1]).is_absolute()
    assert json.loads(arguments[arguments.index("--settings") + 1]) == {"home": "/h"}
    assert json.loads(arguments[arguments.index("--server") + 1]) == {"port": 1}
    assert "pw" not in " ".join(arguments)
    told = orders.environment({"POINTSMAN_STORE__URL": "sqlite:///other.db", "PATH": "/bin"})
    assert told == {"POINTSMAN_STORE": "postgresql://me:pw@db/x", "PATH": "/bin"}


def test_a_worker_that_ends_at_start_up_is_no_endless_wait(tmp_path: Path) -> None:
    """A configuration that it cannot read ends it; the parent says so with its exit code."""
    with listen("127.0.0.1", 0) as bound:
        worker = Worker(bound, Orders(tmp_path / "none.yaml", {}, {}))
        worker.start()
        try:
            with pytest.raises(LaunchError, match="exit code 2"):
                worker.await_ready(*reachable(bound), print)
        finally:
            worker.stop(0.0)


def test_a_worker_can_be_stopped_before_it_was_started_and_twice(tmp_path: Path) -> None:
    """Stopping is harmless at any time, and leaves no process."""
    before = {child.pid for child in psutil.Process().children()}
    with listen("127.0.0.1", 0) as bound:
        worker = Worker(bound, Orders(tmp_path / "none.yaml", {}, {}))
        worker.stop(1.0)
        worker.start()
        worker.stop(0.0)
        worker.stop(0.0)
    assert [child for child in psutil.Process().children() if child.pid not in before] == []


def test_a_worker_has_the_time_that_its_end_may_take() -> None:
    """Cancelled requests write their records, then the store's queue is written."""
    assert STOP_S + inspect.signature(Store.close).parameters["timeout_s"].default < END_S


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"missing": {"qwen": "refused", "engines": "starting"}}, "qwen: refused; engines: starting"),
        ({"problem": "no answer"}, "no answer"),
        ({"missing": {}}, "the engines are starting"),
    ],
)
def test_what_is_waited_for_is_said_in_words(told: dict[str, Any], said: str) -> None:
    """Each missing model with its reason; something in any case."""
    assert waited_for(told) == said


def test_nobody_answers_is_no_error() -> None:
    """Before anybody listens there is no status, and the body says why."""
    with listen("127.0.0.1", 0) as bound:
        address = reachable(bound)
    status, told = readiness(*address)
    assert status is None
    assert "no answer" in told["problem"]
