"""Running trials: failures, interruptions, going on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from calibrating import chain_questions, digits_router
from scripted import ScriptedEngine, says

from pointsman.backends import Event
from pointsman.domain import Call
from pointsman.errors import BackendError, BackendTimeout, BackendUnavailable
from pointsman.router.jobs.contenders import contenders
from pointsman.router.jobs.journal import Journal, trials
from pointsman.router.jobs.trying import GIVE_UP, Pace, run_trials

DOWN = BackendUnavailable("is down", backend="digits")


class Failing(ScriptedEngine):
    """Fails where the call may think (a budget of None), or the first time it is asked a question at all."""

    def __init__(self, *, thinking: bool) -> None:
        super().__init__("digits", says("7"))
        self._thinking, self._seen = thinking, set[str]()

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        asked = f"{call.messages}{call.thinking_budget}"
        fails = call.thinking_budget is None if self._thinking else asked not in self._seen
        self._seen.add(asked)
        if fails:
            self.calls.append(call)
            raise BackendTimeout("took too long", backend="digits")
        async for event in super().stream(call):
            yield event


async def test_a_run_that_fails_is_tried_once_more_and_written_down_both_times(tmp_path: Path) -> None:
    questions, paces = chain_questions(5, 2), list[Pace]()
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        router.engines["digits"] = Failing(thinking=False)
        todo = trials(questions, contenders(router, ["small"], samples=1))
        assert await run_trials(router, todo, journal, concurrency=1, progress=paces.append) == {}
        assert all(journal.row(t) is not None for t in todo)
        router.store.flush()
        assert sum(o.correct is not None for o in router.store.observations()) == 5
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert len([line for line in lines if "took too long" in line]) == 5
    assert len(lines) == 10
    assert (paces[0].total, paces[-1].done, paces[-1].failed, paces[-1].tokens_left) == (5, 5, 0, 0)


async def test_a_route_that_fails_always_is_named_and_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    questions = chain_questions(30, 2)
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        engine = router.engines["digits"] = Failing(thinking=True)
        todo = trials(questions, contenders(router, samples=1))
        silent = await run_trials(router, todo, journal, concurrency=2)
        assert silent == {"full": "digits: took too long"}
        assert sum(journal.row(t) is not None for t in todo) == 60
        assert sum(call.thinking_budget is None for call in engine.calls) <= 2 * (GIVE_UP + 1)


async def test_what_was_run_before_an_interruption_is_not_run_again(tmp_path: Path) -> None:
    questions, file = chain_questions(10, 2), tmp_path / "runs.jsonl"
    with digits_router(tmp_path) as router:
        engine = router.engines["digits"] = ScriptedEngine("digits", says("7", thought="x"))
        todo = trials(questions, contenders(router))

        def interrupt(pace: Pace) -> None:
            if pace.done == 15:
                work.cancel()  # as Ctrl-C does to what runs in asyncio.run

        with Journal(file, resume=False) as journal:
            work = asyncio.ensure_future(run_trials(router, todo, journal, concurrency=2, progress=interrupt))
            with pytest.raises(asyncio.CancelledError):
                await work
        before = file.read_text()
        asked = len(engine.calls)
        assert 15 <= asked <= 18
        paces: list[Pace] = []
        with Journal(file, resume=True) as journal:
            await run_trials(router, todo, journal, concurrency=2, progress=paces.append)
            assert all(journal.row(t) is not None for t in todo)
        assert file.read_text().startswith(before)
        assert len(engine.calls) - asked == 60 - len(before.splitlines())
        assert paces[0].done == len(before.splitlines()) + 1


async def test_an_error_of_the_journal_ends_it(tmp_path: Path) -> None:
    """Nothing is paid for that cannot be kept."""
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        router.engines["digits"] = engine = ScriptedEngine("digits", says("7"))
        todo = trials(chain_questions(10, 2), contenders(router))
        journal._out.close()
        with pytest.raises(ValueError, match="closed file"):
            await run_trials(router, todo, journal, concurrency=2)
        assert len(engine.calls) <= 4


async def test_an_empty_answer_is_wrong_and_an_outage_is_not(tmp_path: Path) -> None:
    with digits_router(tmp_path) as router, Journal(tmp_path / "runs.jsonl", resume=False) as journal:
        router.engines["digits"] = ScriptedEngine("digits", says(""))
        (trial,) = trials(chain_questions(1, 2), contenders(router, ["small"], samples=1))
        await run_trials(router, [trial], journal)
        row = journal.row(trial)
        assert row is not None
        assert (row["correct"], row["answer"]) == (0.0, None)
        router.engines["digits"] = ScriptedEngine("digits", [DOWN])
        (again,) = trials(chain_questions(1, 3), contenders(router, ["small"], samples=1))
        assert isinstance(DOWN, BackendError)
        assert await run_trials(router, [again], journal) == {"small": "digits: is down"}
        assert journal.row(again) is None
