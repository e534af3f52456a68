"""A whole check: on the real miniature model by both engines, and on servers that lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stub as stubs
from calibrating import digits_router
from scripted import ScriptedEngine, says

from pointsman.backends import UNADVISED, Identity, ModelConfig, create, load_modes
from pointsman.domain import Capabilities, Enforcement, Price, Purpose, Route
from pointsman.errors import BackendRejected, BackendUnavailable
from pointsman.router.jobs.conformance.findings import Ruling
from pointsman.router.jobs.conformance.run import Checked, check_model
from pointsman.router.jobs.conformance.subjects import chosen, subject
from pointsman.router.jobs.conformance.trials import Subject, Trials

IDENTITY = Identity("Stub", "1", "abc")
MODES = load_modes()
ABLE = Capabilities(context=4096, thinks=True, switchable=True, continues=True)


def routes(*budgets: int | None) -> tuple[Route, ...]:
    return tuple(
        Route(f"r{budget}", "stub", "direct" if budget == 0 else "think", budget, Price(0.1, 0, 1))
        for budget in budgets
    )


def about(checked: Checked, name: str) -> Any:
    (found,) = [one for one in checked.findings if one.about == name]
    return found


def ruled(checked: Checked, name: str) -> Ruling:
    return about(checked, name).ruling


# -- the real model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["llamacpp", "transformers"])
async def test_digits_keeps_what_its_routes_promise(engine: str, tmp_path: Path) -> None:
    """By a launched llama.cpp server and in this process: nothing is broken, budgets are put to the test and kept."""
    router = digits_router(tmp_path)
    router.models["digits"] = ModelConfig.model_validate({"engine": engine, "embedded": "digits"})
    await router.open_engines(await asyncio.to_thread(router.endpoints) if engine == "llamacpp" else {})
    try:
        asked = await subject(router, "digits", chosen(router)["digits"])
        done: list[tuple[int, int]] = []
        checked = await check_model(
            asked, router.engines["digits"], IDENTITY, n=2, progress=lambda *at: done.append(at)
        )
    finally:
        await router.aclose()
    assert (checked.skipped, checked.broken) == (None, False)
    for name in ("off", "budget", "answer", "parallel", "thought", "counts", "prefill", "streaming", "name"):
        assert ruled(checked, name) is Ruling.KEPT, about(checked, name)
    assert about(checked, "budget").figures["shown"] == [4, 16, 32]
    assert about(checked, "budget").figures["overrun"] <= 2
    told = {one.route.name: (one.finding.ruling, one.enforced) for one in checked.routes}
    kept = (Ruling.KEPT, Enforcement.NATIVE)
    assert told == {"small": kept, "budgeted": kept, "full": kept}
    assert done[-1][0] <= done[-1][1] == done[0][1]
    assert checked.calls <= Trials(asked, 2).estimate().calls
    assert ruled(checked, "schema") is (Ruling.KEPT if engine == "llamacpp" else Ruling.NOT_POSSIBLE)


# -- servers that lie -----------------------------------------------------------------------------------------------


class Liar(stubs.Stub):
    """A server whose model thinks 400 letters. `lies` says what it does not do, and does not tell."""

    def __init__(self, *lies: str) -> None:
        super().__init__()
        self.lies = set(lies)
        self.budget = "ignore" if "budget" in self.lies else "keep"
        self.mute = "answer" in self.lies
        self.busy = 0

    async def _handle(self, request: Any) -> Any:
        if request.path == "/tokenize" and "uncounted" in self.lies:
            return stubs.web.json_response({"error": "no"}, status=404)
        if "busy" in self.lies and request.path.endswith("completions"):
            self.busy += 1
            try:
                if self.busy > 4:
                    return stubs.web.json_response({"error": {"message": "queue full"}}, status=503)
                return await super()._handle(request)
            finally:
                self.busy -= 1
        return await super()._handle(request)

    def _model(self, path: str, body: dict[str, Any]) -> Any:
        if "off" in self.lies:
            body = {key: value for key, value in body.items() if key != "chat_template_kwargs"}
        if self.mute:
            body = {key: value for key, value in body.items() if key != "min_tokens"}
        reply = super()._model(path, body)
        if "name" in self.lies or "hidden" in self.lies or "leaks" in self.lies:
            reply.pieces = [self._bent(piece) for piece in reply.pieces]
        return reply

    def _bent(self, piece: bytes) -> bytes:
        chunks = [line[6:] for line in piece.decode().split("\n\n") if line]
        return stubs.sse(*(self._lied(json.loads(one)) if one != "[DONE]" else b"[DONE]" for one in chunks))

    def _lied(self, chunk: dict[str, Any]) -> dict[str, Any]:
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or {}
            if "hidden" in self.lies:
                delta.pop("reasoning", None)
            if "leaks" in self.lies and "reasoning" in delta:
                delta["content"] = delta.pop("reasoning")
        return {**chunk, "model": "another"} if "name" in self.lies else chunk


@asynccontextmanager
async def lying(*lies: str) -> AsyncIterator[Liar]:
    server = Liar(*lies)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(autouse=True)
def _long_thoughts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that every budget that is tried binds."""
    monkeypatch.setattr(stubs, "THOUGHT", "and then " * 45)


async def check(
    server: Liar, *budgets: int | None, dialect: str = "vllm", able: Capabilities = ABLE, **more: Any
) -> Checked:
    config = ModelConfig.model_validate(
        {"url": server.url, "dialect": dialect, "model": "stub", "thinks": True, **more}
    )
    engine = create("stub", config)
    asked = Subject("stub", routes(*budgets), MODES, able, UNADVISED, asked="stub", listed=("stub",))
    try:
        return await check_model(asked, engine, IDENTITY, n=2)
    finally:
        await engine.aclose()


async def test_an_honest_server_breaks_nothing() -> None:
    async with lying() as server:
        checked = await check(server, 0, 64, None)
    assert not checked.broken
    assert [one.finding.ruling for one in checked.routes] == [Ruling.KEPT] * 3
    assert [one.enforced for one in checked.routes] == [Enforcement.NATIVE] * 3
    for name in ("off", "budget", "answer", "parallel", "thought", "counts", "prefill", "streaming", "name"):
        assert ruled(checked, name) is Ruling.KEPT, about(checked, name)
    assert about(checked, "budget").figures["shown"] == [16, 64, 256]


async def test_budgets_that_are_ignored_are_found_and_cut_where_that_can_be_done() -> None:
    async with lying("budget") as server:
        checked = await check(server, 64)
    (route,) = checked.routes
    assert (route.finding.ruling, route.enforced) == (Ruling.KEPT, Enforcement.TWO_PASS)
    assert about(checked, "budget").figures["ignored"] is True
    assert "ignores its own budget" in about(checked, "budget").sentence
    assert not checked.broken


async def test_budgets_that_are_ignored_and_cannot_be_cut_break_the_routes_name() -> None:
    """TensorRT-LLM's dialect has a budget and no way to go on."""
    async with lying("budget") as server:
        checked = await check(server, 0, 64, dialect="tensorrt")
    off, route = checked.routes
    assert (off.finding.ruling, route.finding.ruling) == (Ruling.KEPT, Ruling.BROKEN)
    assert route.enforced is Enforcement.NONE
    assert checked.broken
    assert "overrun" in route.finding.sentence
    assert ruled(checked, "parallel") is Ruling.BROKEN


async def test_off_that_is_ignored_breaks_it() -> None:
    async with lying("off") as server:
        checked = await check(server, 0, None)
    assert ruled(checked, "off") is Ruling.BROKEN
    assert [one.finding.ruling for one in checked.routes] == [Ruling.BROKEN, Ruling.KEPT]
    assert checked.routes[0].enforced is Enforcement.NONE


async def test_off_that_is_ignored_by_a_server_that_hides_its_thought_shows_in_the_bill() -> None:
    async with lying("off", "hidden") as server:
        checked = await check(server, 0)
    assert ruled(checked, "off") is Ruling.BROKEN
    assert "billed but not shown" in about(checked, "off").sentence


async def test_off_by_the_marks_only_shows_by_the_length() -> None:
    """With thinking off the reasoning is in the answer, without a mark."""
    async with lying("off", "leaks") as server:
        unmarked = await check(server, 0, dialect="openai", thinks=None)
    assert ruled(unmarked, "off") is not Ruling.KEPT


async def test_answers_that_are_lost_after_a_thought_are_found() -> None:
    async with lying("answer") as server:
        checked = await check(server, 64)
    assert ruled(checked, "answer") is Ruling.BROKEN
    assert checked.routes[0].finding.ruling is Ruling.BROKEN
    assert checked.broken


async def test_another_models_name_is_told_and_breaks_no_promise() -> None:
    async with lying("name") as server:
        checked = await check(server, 0, 64)
    assert about(checked, "name").sentence == "Asked for stub, the server answers as another."
    assert not checked.broken


async def test_a_server_that_counts_nothing_is_not_countable() -> None:
    async with lying("uncounted") as server:
        checked = await check(server, 0, dialect="tensorrt", able=Capabilities(thinks=True))
    assert ruled(checked, "counts") is Ruling.NOT_COUNTABLE
    assert ruled(checked, "prefill") is Ruling.NOT_POSSIBLE


async def test_a_server_that_refuses_eight_at_once_breaks_that() -> None:
    async with lying("busy") as server:
        checked = await check(server, 0)
    assert ruled(checked, "parallel") is Ruling.BROKEN
    assert "queue full" in about(checked, "parallel").sentence


async def test_budgets_that_are_only_asked_for_are_prompt() -> None:
    async with lying() as server:
        checked = await check(server, 64, dialect="openai")
    (route,) = checked.routes
    assert (route.finding.ruling, route.enforced) == (Ruling.BROKEN, Enforcement.NONE)  # the stub does not listen


async def test_no_route_without_thought_and_no_switch_is_no_broken_promise() -> None:
    async with lying("off") as server:
        able = Capabilities(thinks=True, switchable=False, continues=True)
        checked = await check(server, 64, None, able=able)
    assert ruled(checked, "off") is Ruling.NOT_POSSIBLE
    assert not checked.broken


async def test_a_budget_beyond_what_a_check_looks_at_is_not_shown() -> None:
    async with lying() as server:
        checked = await check(server, 100_000)
        longest = max(body.get("max_completion_tokens", 0) for body in server.bodies("/v1/chat/completions"))
    assert checked.routes[0].finding.ruling is Ruling.NOT_SHOWN
    assert "stops at 4,096" in checked.routes[0].finding.sentence
    assert longest < 5_000


# -- the driver -----------------------------------------------------------------------------------------------------


async def scripted(*scripts: Any, n: int = 1, **more: Any) -> tuple[Checked, ScriptedEngine]:
    engine = ScriptedEngine("m", *scripts)
    asked = Subject("m", routes(0, 64), MODES, ABLE)
    return await check_model(asked, engine, IDENTITY, n=n, **more), engine


async def test_every_call_says_that_it_is_a_check_and_has_its_limits() -> None:
    _, engine = await scripted(says("7"))
    assert {call.purpose for call in engine.calls} == {Purpose.CHECK}
    assert all(call.max_tokens and call.deadline_ms for call in engine.calls)


async def test_the_same_call_is_made_once() -> None:
    """But those that are made at the same moment, or to be left."""
    _, engine = await scripted(says("7", thought="aha"))
    together = 8 + 8 + 2
    single = [call for i, call in enumerate(engine.calls) if call not in engine.calls[:i]]
    assert len(engine.calls) <= len(single) + together


async def test_a_server_that_is_down_is_skipped_after_one_call() -> None:
    checked, engine = await scripted([BackendUnavailable("is down", backend="m")])
    assert (checked.skipped, len(engine.calls)) == ("m: is down", 1)
    assert checked.rows() == []
    assert checked.body()["skipped"] == "m: is down"


async def test_a_server_that_refuses_everything_is_told_not_believed() -> None:
    checked, _ = await scripted([BackendRejected("no such model", backend="m")])
    assert {one.ruling for one in checked.findings if one.promise} <= {Ruling.NOT_POSSIBLE, Ruling.BROKEN}
    assert all(one.ruling is not Ruling.KEPT for one in (*checked.findings, *(r.finding for r in checked.routes)))


async def test_when_the_time_is_over_the_rest_is_not_shown() -> None:
    checked, engine = await scripted(says("7"), deadline_s=0.0)
    assert engine.calls == []
    assert "seconds were over" in str(checked.skipped)


async def test_of_a_mode_that_loops_each_call_is_checked() -> None:
    async with lying("off") as server:
        loops = (replace(routes(0)[0], name="votes", mode="vote(3)"), replace(routes(64)[0], mode="vote(3)"))
        config = ModelConfig.model_validate({"url": server.url, "dialect": "vllm", "model": "stub", "thinks": True})
        engine = create("stub", config)
        checked = await check_model(Subject("stub", loops, MODES, ABLE), engine, IDENTITY, n=1)
        await engine.aclose()
    off, some = checked.routes
    assert (off.finding.ruling, some.finding.ruling) == (Ruling.BROKEN, Ruling.KEPT)
    assert off.finding.sentence.startswith("Of each of its calls: Off is not off")
    assert checked.rows()[0].mode == "vote(3)"


async def test_a_mode_that_is_not_known_is_not_checked() -> None:
    strange = Route("odd", "m", "no-such-mode", 64, Price(0.1, 0, 1))
    engine = ScriptedEngine("m", says("7"))
    checked = await check_model(Subject("m", (strange,), MODES, ABLE), engine, IDENTITY, n=1)
    assert checked.routes[0].finding.ruling is Ruling.NOT_POSSIBLE
    assert "no-such-mode" in checked.routes[0].finding.sentence


async def test_rows_have_the_routes_own_finding_first_and_come_back() -> None:
    checked, _ = await scripted(says("7", thought="x" * 200))
    rows = checked.rows()
    assert [(row.route, row.model, row.thinking_budget) for row in rows] == [("r0", "m", 0), ("r64", "m", 64)]
    assert {(row.engine, row.version, row.fingerprint) for row in rows} == {("Stub", "1", "abc")}
    assert all(row.findings[0]["about"] == "route" for row in rows)
    assert json.loads(json.dumps(checked.body()))["broken"] is True  # it thinks, whatever it is told


def test_the_estimate_grows_with_the_questions_and_bounds_what_is_asked() -> None:
    asked = Subject("m", routes(0, 64, 2_000), MODES, ABLE)
    few, many = Trials(asked, 1).estimate(), Trials(asked, 8).estimate()
    assert few.calls < many.calls
    assert few.output_tokens < many.output_tokens
    assert many.cost == pytest.approx((many.input_tokens * 0.1 + many.output_tokens) / 1e6)


def test_no_limit_is_more_than_the_context_leaves() -> None:
    """vLLM refuses a call whose limit and prompt are more than its context."""
    wide = Trials(Subject("m", routes(0, 64), MODES, ABLE), 3)
    narrow = Trials(Subject("m", routes(0, 64), MODES, replace(ABLE, context=400)), 3)
    assert max(call.max_tokens or 0 for call in wide.all()) > 400
    assert all(call.max_tokens is not None and call.max_tokens <= 280 for call in narrow.all())
