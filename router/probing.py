"""Buying probes about an answer that a model just gave (probes.py): all at once, each watched and charged.

A probe that fails or takes too long has cost what it cost, and its sign is not known; nothing else follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from ..backends import Engine, Finished, Text, TokenLogprob
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

    async def ask(self, engine: Engine, about: Watch, answer: str, attempts: list[Attempt]) -> dict[str, float]:
        """The signs of the answer that `about` watched on this engine, by name, of those that could be read.

        What was asked is added to `attempts`, in the order of the probes, also where the caller leaves meanwhile."""
        wanted = [probe for probe in self._probes if applies(probe, about.call)]
        posed = [(probe, self._watch(engine, probe, about, answer)) for probe in wanted]
        signs: dict[str, float] = {}
        try:
            values = await asyncio.gather(*(self._reply(probe, watch, answer) for probe, watch in posed))
            named = zip(wanted, values, strict=True)
            signs = {probe.name: value for probe, value in named if value is not None}
        finally:
            for probe, watch in posed:
                own = {probe.name: signs[probe.name]} if probe.name in signs else {}
                attempts.append(replace(watch.attempt(), signs=own))
        return signs

    def _watch(self, engine: Engine, probe: Probe, about: Watch, answer: str) -> Watch:
        call = call_for(about.call, answer, probe)
        most = min(self._max_tokens, call.max_tokens or self._max_tokens)
        call = replace(call, max_tokens=most, deadline_ms=self._deadline_ms)
        return Watch(about.route, call, engine.stream(call), about.prompt)

    async def _reply(self, probe: Probe, watch: Watch, answer: str) -> float | None:
        """What a probe showed; None where it failed or cannot be read."""
        text, tokens = "", list[TokenLogprob]()
        finish = Finish.ERROR
        try:
            async with aclosing(watch):
                async for event in watch:
                    if isinstance(event, Finished):
                        finish = event.finish
                        break
                    if isinstance(event, Text):
                        text += event.text
                        tokens += event.logprobs
        except BackendError as error:
            watch.error = str(error)
            return None
        except asyncio.CancelledError:
            watch.cancelled = True
            raise
        if not probe.question and finish is not Finish.STOP:  # an answer that was cut off says nothing
            return None
        return shown(probe, text, tokens, answer, self._embedder)
