"""Buying probes about an answer that a model just gave (probes.py), each watched and charged.

One after the other: asked at once they land in several slots of a llama.cpp server, of which one has the prompt in its
memory, and the others read it again (14 of 461 tokens were cached instead of nearly all).

A probe that fails or takes too long has cost what it cost, and its sign is not known; nothing else follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from ..backends import Engine, Finished
from ..classifiers import Embedder
from ..domain import Attempt, Finish
from ..errors import BackendError
from .attempts import Watch
from .probes import PROBES, Probe, applies, call_for, shown


class Prober:
    """Buys the probes of these names; deadline_ms: each probe's time limit; max_tokens: of a further answer."""

    def __init__(self, names: Sequence[str], embedder: Embedder, *, max_tokens: int, deadline_ms: float) -> None:
        self._probes, self._embedder = tuple(PROBES[name] for name in names), embedder
        self._max_tokens, self._deadline_ms = max_tokens, deadline_ms

    async def ask(
        self, engine: Engine, about: Watch, answer: str, attempts: list[Attempt], *, whole: bool = True
    ) -> dict[str, float]:
        """The signs of the answer that `about` watched on this engine, by name, of those that could be read. whole:
        whether it is more than the answer's beginning, so that a second one can be compared with it.

        What was asked is added to `attempts`, in the order of the probes, also where the caller leaves meanwhile."""
        signs: dict[str, float] = {}
        for probe in self._probes:
            if not applies(probe, about.call, whole=whole):
                continue
            watch = self._watch(engine, probe, about, answer)
            value = None
            try:
                value = await self._reply(probe, watch, answer)
            finally:
                own = {} if value is None else {probe.name: value}
                attempts.append(replace(watch.attempt(), signs=own))
            signs |= own
        return signs

    def _watch(self, engine: Engine, probe: Probe, about: Watch, answer: str) -> Watch:
        call = call_for(about.call, answer, probe)
        most = min(self._max_tokens, call.max_tokens or self._max_tokens)
        call = replace(call, max_tokens=most, deadline_ms=self._deadline_ms)
        return Watch(about.route, call, engine.stream(call), about.prompt)

    async def _reply(self, probe: Probe, watch: Watch, answer: str) -> float | None:
        """What a probe showed; None where it failed or cannot be read."""
        try:
            async with aclosing(watch):
                async for event in watch:
                    if isinstance(event, Finished):
                        break
        except BackendError as error:
            watch.error = str(error)
            return None
        except asyncio.CancelledError:
            watch.cancelled = True
            raise
        reply = watch.attempt()
        if not probe.question and reply.finish is not Finish.STOP:  # an answer that was cut off says nothing
            return None
        return shown(probe, reply.answer or "", watch.logprobs, answer, self._embedder)
