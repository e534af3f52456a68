"""What an engine knows of its model before a call, and how servers list their models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from ..domain import Json
from .engine import ModelInfo
from .family_rows import Family
from .markers import USUAL, Markers


@dataclass(frozen=True, slots=True)
class Facts:
    """model: the name to ask for; context: tokens of one query; thinks, switchable, tools, images: None where the
    server does not say; family: what is known of models of its name; markers: of its thoughts; marker: tokens of the
    one that ends a thought; continues: as in Dialect."""

    model: str
    context: int | None = None
    thinks: bool | None = None
    switchable: bool | None = None
    tools: bool | None = None
    images: bool | None = None
    family: Family | None = None
    markers: Markers = USUAL
    marker: int | None = None
    continues: Literal["chat", "raw"] | None = None

    @property
    def closes(self) -> bool:
        """Whether thinking that cannot be switched off is turned off by closing the thought in the prompt."""
        closable = self.family is not None and self.family.empty is not None and self.continues is not None
        return closable and self.thinks is True and self.switchable is False

    @property
    def closing(self) -> int:
        """Tokens that end a cut thought: the marker and a line end; a guess on the safe side where it is unknown."""
        return 4 if self.marker is None else self.marker + 1


def listed_models(reply: Any) -> tuple[ModelInfo, ...]:
    """The models of a reply to GET /v1/models. Context is `max_model_len` on vLLM and SGLang, `meta.n_ctx` on
    llama.cpp (of one slot), `context_length` on hosted servers; the count of parameters is llama.cpp's only."""
    body: Json = cast("Json", reply) if isinstance(reply, dict) else {}
    rows = cast("list[Json]", body.get("data") or [])
    return tuple(_info(row) for row in rows if row.get("id"))


def _info(row: Json) -> ModelInfo:
    meta: Json = row.get("meta") or {}
    context = (
        row.get("max_model_len") or meta.get("n_ctx") or row.get("context_length") or row.get("max_context_length")
    )
    count = meta.get("n_params")
    return ModelInfo(str(row["id"]), context, count / 1e9 if count else None, row.get("owned_by"))
