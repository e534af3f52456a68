"""A model behind llama-swap: the OpenAI engine plus what llama-swap tells of the servers that it starts.

Source: mostlygeek/llama-swap, proxy/proxymanager.go: `/running` lists the models whose servers are ready, by their
names in its configuration; older versions also those that are starting, with their state.
"""

from __future__ import annotations

from collections.abc import Collection

from .evidence import as_object, as_objects
from .openai import OpenAIEngine


class LlamaSwapEngine(OpenAIEngine):
    """One model behind llama-swap. Implements Engine (engine.py) and Swapping (memory.py)."""

    _listed: frozenset[str] | None = None

    async def loaded(self) -> tuple[str, ...]:
        """See Swapping.loaded."""
        rows = as_objects(as_object(await self._transport.get("/running")).get("running"))
        return tuple(str(row.get("model")) for row in rows if row.get("state", "ready") == "ready")

    async def among(self, loaded: Collection[str]) -> bool | None:
        """See Swapping.among. An alias is not told apart from a model that is not loaded: it is not in the list."""
        model = (await self.facts()).model
        if model in loaded:
            return True
        if self._listed is None:
            self._listed = frozenset(info.id for info in await self.models())
        return False if model in self._listed else None
