"""Asking a model about the answer that it just gave (probes.py): all questions at once, each watched and charged.

A probe that fails or takes too long has cost what it cost, and its sign is not known; nothing else follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from ..backends import Engine, Finished, Text, TokenLogprob
from ..domain import Attempt
from ..errors import BackendError
from .attempts import Watch
from .probes import PROBES, Probe, call_about, shown


class Prober:
    """Puts the probes of these names; deadline_ms: each probe's time limit."""

    def __init__(self, names: Sequence[str], deadline_ms: float) -> None:
        self._probes, self._deadline_ms = tuple(PROBES[name] for name in names), deadline_ms

    async def ask(self, engine: Engine, about: Watch, answer: str, attempts: list[Attempt]) -> dict[str, float]:
        """The signs of the answer that `about` watched on this engine, by name, of those that could be read.

        What was asked is added to `attempts`, in the order of the probes, also where the caller leaves meanwhile."""
        posed = [(probe, self._watch(engine, probe, about, answer)) for probe in self._probes]
        signs: dict[str, float] = {}
        try:
            values = await asyncio.gather(*(_reply(probe, watch) for probe, watch in posed))
            named = zip(self._probes, values, strict=True)
            signs = {probe.name: value for probe, value in named if value is not None}
        finally:
            for probe, watch in posed:
                own = {probe.name: signs[probe.name]} if probe.name in signs else {}
                attempts.append(replace(watch.attempt(), signs=own))
        return signs

    def _watch(self, engine: Engine, probe: Probe, about: Watch, answer: str) -> Watch:
        call = replace(call_about(about.call, answer, probe), deadline_ms=self._deadline_ms)
        return Watch(about.route, call, engine.stream(call), about.prompt)


async def _reply(probe: Probe, watch: Watch) -> float | None:
    """What a probe showed; None where it failed or cannot be read."""
    text, tokens = "", list[TokenLogprob]()
    try:
        async with aclosing(watch):
            async for event in watch:
                if isinstance(event, Finished):
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
    return shown(probe, text, tokens)
