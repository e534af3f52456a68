"""The one door to every model: `Engine.stream(call)` yields events.

Answers, probes, both passes of a budget, escalation, checks and calibration all go through it. An engine object is
one model on one server (or in this process); its dialect spells the call, and what the server cannot enforce the
engine enforces by cutting. Everything an engine raises is a `BackendError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..domain import Call, Capabilities, Enforcement, Finish, Json, Usage


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token's log-probability (natural) and, where asked, its best alternatives, most likely first."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of thought as it comes. `tokens` is how many tokens it is, 0 where the engine does not say."""

    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer as it comes."""

    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call: `index` tells parallel calls apart; id and name come with the first piece."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds: until the first token (None: there was none), the whole call; prompt_ms by the engine's clock."""

    total_ms: float
    first_token_ms: float | None = None
    prompt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """What can be kept to go on from here: the thought so far, and whether it had ended by itself."""

    thought: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every stream that did not raise.

    enforced: how this call's budget was kept; NATIVE also where nothing had to be enforced.
    model: the name that the server answered under. warnings: what the server ignored or could not tell."""

    finish: Finish
    usage: Usage
    timings: Timings
    enforced: Enforcement
    model: str
    continuation: Continuation | None = None
    warnings: tuple[str, ...] = ()


Event: TypeAlias = Thought | Text | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a server lists. context in tokens; parameters: count in billions; None where it does not say."""

    id: str
    context: int | None = None
    parameters: float | None = None
    owned_by: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a server can serve now, and what it says of itself (a version, or why not)."""

    ready: bool
    detail: str = ""


class Engine(Protocol):
    """One model on one server."""

    @property
    def name(self) -> str:
        """The model's name in the configuration."""
        ...

    def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """Events of one call, ending with exactly one `Finished`. Closing the generator cancels the generation at the
        server. Raises BackendError."""
        ...

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        """The text that the model would be given for these messages. Raises BackendError where it cannot be had."""
        ...

    async def count_tokens(self, text: str) -> int:
        """How many tokens the model makes of this text. Raises BackendError where it cannot be had."""
        ...

    async def capabilities(self) -> Capabilities:
        """What the model can do, as far as the server says."""
        ...

    async def health(self) -> Health:
        """Whether the server can serve now; never raises."""
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that the server lists. Raises BackendError."""
        ...

    async def aclose(self) -> None:
        """Give back connections and memory."""
        ...
