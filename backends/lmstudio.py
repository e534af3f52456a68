"""A model on LM Studio: the OpenAI engine plus what only its own list of models tells.

Source: lmstudio-ai/docs, /api/v1/models of 0.4. `reasoning_effort` works on chat completions from 0.4.17 on; template
arguments are ignored without a word, so nothing else is sent to switch the thinking.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..domain import Json
from ..errors import BackendError, BackendRejected
from .evidence import Evidence, as_object, as_objects, models_of
from .facts import Facts
from .openai import OpenAIEngine


class LMStudioEngine(OpenAIEngine):
    """One model on an LM Studio server. Implements Engine (engine.py)."""

    async def loaded(self) -> tuple[str, ...]:
        """See Swapping.loaded (memory.py): a model's own name, and those of its instances."""
        names = ((row.get("key"), *(one.get("id") for one in _instances(row))) for row in await self._rows())
        return tuple(dict.fromkeys(str(name) for told in names if len(told) > 1 for name in told))

    async def among(self, loaded: Collection[str]) -> bool | None:
        """See Swapping.among."""
        return (await self.facts()).model in loaded

    async def _learnt(self) -> Facts:
        facts = await super()._learnt()
        try:
            rows = await self._rows()
        except BackendError:  # before 0.4 there is no such list
            return facts
        found = models_of("lmstudio", Evidence(({"id": facts.model},), {"lmstudio": {"models": rows}}))
        if not found:
            raise BackendRejected(f"{facts.model} writes no text: set another `model`", backend=self._name)
        context = self._config.context or _context(facts.model, rows)
        return replace(facts, context=context, tools=found[0].tools, images=found[0].images)

    async def _rows(self) -> list[Json]:
        return as_objects(as_object(await self._transport.get("/api/v1/models")).get("models"))


def _context(model: str, rows: list[Json]) -> int | None:
    """The context of the model's loaded instances, the shortest; None where it is not loaded: with how long a one it
    will be is the server's to decide."""
    ours = [row for row in rows if row.get("key") == model or any(one.get("id") == model for one in _instances(row))]
    told = [as_object(one.get("config")).get("context_length") for row in ours for one in _instances(row)]
    return min((one for one in told if isinstance(one, int)), default=None)


def _instances(row: Json) -> list[Json]:
    return as_objects(row.get("loaded_instances"))
