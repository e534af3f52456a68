"""What clients send, as pydantic models, and its one translation into a Query and a Wish."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from ..domain import Objective, ObjectiveKind, Query, Sampling, Wish
from ..errors import BadRequest
from ..router import Router
from ..router.queries import ROLES, check_query
from ..router.wishes import AUTO

MAX_TOKENS = 2**31 - 1
"""What engines read into 32 bits."""

_MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "enum": list(ROLES)},
        "content": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}],
            "description": "text, or a list of parts ({type: text, text}, {type: image_url, image_url})",
        },
        "name": {"type": "string"},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "tool_call_id": {"type": "string"},
    },
}
_TOOL: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "examples": ["function"]},
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "description": {"type": "string"},
                "parameters": {"type": "object", "description": "JSON Schema"},
            },
        },
    },
}


def _named_tools(tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    for i, tool in enumerate(tools or ()):
        function: Any = tool.get("function")
        if not isinstance(tool.get("type"), str):
            raise ValueError(f"[{i}].type is missing")
        if tool["type"] == "function" and not (isinstance(function, dict) and isinstance(function.get("name"), str)):  # pyright: ignore[reportUnknownMemberType] foreign JSON
            raise ValueError(f"[{i}].function.name is missing")
    return tools


def _one_objective(objective: dict[str, float] | str | None) -> dict[str, float] | str | None:
    if isinstance(objective, dict) and len(objective) != 1:
        raise ValueError("give exactly one of quality, willingness_to_pay, max_cost")
    return objective


Messages = Annotated[list[dict[str, Any]], WithJsonSchema({"type": "array", "minItems": 1, "items": _MESSAGE})]
Tools = Annotated[
    list[dict[str, Any]] | None, AfterValidator(_named_tools), WithJsonSchema({"type": "array", "items": _TOOL})
]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Wishes(BaseModel):
    """Pointsman's own fields. What is asked for by name is always obeyed."""

    model: str = Field(
        AUTO,
        min_length=1,
        max_length=500,
        description="auto; auto:small, auto:budgeted, auto:full for a tier; auto:0.9 for the share of the best route's "
        "quality to keep; a route's or a model's name; name(2048) or name(off) for an explicit thinking budget",
        examples=["auto"],
    )
    mode: str | None = Field(None, description="how the model reasons: direct, think(512), vote(5), … (docs/modes.md)")
    thinking_budget: int | Literal["off", "unlimited"] | None = Field(
        None, description="the most tokens of thought: a number, off, or unlimited"
    )
    objective: Annotated[dict[str, Number] | str | None, AfterValidator(_one_objective)] = Field(
        None,
        description="what is wanted of routing, in place of the configured objective: one of quality (0 to 1), "
        "willingness_to_pay, max_cost",
        examples=[{"quality": 0.95}],
    )

    def wish(self, router: Router) -> Wish:
        """The wish. Raises UnknownModel, BadRequest."""
        budget = self.thinking_budget
        wish = router.wish(
            self.model,
            mode=self.mode,
            thinking_budget=0 if budget == "off" else budget if isinstance(budget, int) else None,
            objective=self._objective(),
        )
        return replace(wish, thinking_budget=None, unlimited=True) if budget == "unlimited" else wish

    def _objective(self) -> Objective | str | None:
        if not isinstance(self.objective, dict):
            return self.objective
        ((name, value),) = self.objective.items()
        try:
            return Objective(ObjectiveKind(name), value)
        except ValueError:
            kinds = ", ".join(ObjectiveKind)
            raise BadRequest(f"objective.{name} is unknown; one of {kinds}.", field="objective") from None


class StreamOptions(BaseModel):
    """How a stream is sent."""

    include_usage: bool | None = Field(None, description="end with a chunk that has the usage and no choices")


class ChatRequest(Wishes):
    """A chat completion's request, as OpenAI's. Fields not named here are passed on to the model's server."""

    model_config = ConfigDict(extra="allow")

    messages: Messages
    stream: bool | None = Field(None, description="send the answer as it comes, as server-sent events")
    stream_options: StreamOptions | None = None
    stream_thoughts: bool | None = Field(
        None,
        description="of a stream: true sends the thought as it comes, by one route that the text alone chooses, and "
        "nothing follows; false withholds it where evidence is bought or a dearer route may follow; left out: the "
        "server's setting",
    )
    max_tokens: int | None = Field(None, le=MAX_TOKENS, description="older name of max_completion_tokens")
    max_completion_tokens: int | None = Field(
        None, le=MAX_TOKENS, description="the most tokens of thought and answer together"
    )
    stop: str | Annotated[list[str], Field(max_length=16)] | None = Field(None, description="the answer ends before it")
    temperature: Number | None = Field(None, ge=0, le=2)
    top_p: Number | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MAX_TOKENS)
    min_p: Number | None = Field(None, ge=0, le=1)
    presence_penalty: Number | None = Field(None, ge=-2, le=2)
    frequency_penalty: Number | None = Field(None, ge=-2, le=2)
    repetition_penalty: Number | None = Field(None, gt=0, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int | None = Field(None, description="only 1")
    tools: Tools = None
    tool_choice: str | dict[str, Any] | None = Field(None, description="none, auto, required, or one function")
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = Field(None, examples=[{"type": "json_object"}])
    logprobs: bool | None = Field(None, description="log-probabilities of the answer's tokens")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="how many alternatives a token; needs logprobs")
    reasoning_effort: str | None = Field(
        None, max_length=50, description="none turns thinking off; other words are passed on to the model's server"
    )
    user: str | None = None
    metadata: dict[str, Any] | None = None

    def query(self) -> Query:
        """The query. Raises BadRequest naming the field."""
        if self.n not in (None, 1):
            raise BadRequest(f"n is {self.n}; only one answer a request is given.", field="n", code="unsupported_value")
        if self.top_logprobs is not None and not self.logprobs:
            raise BadRequest("top_logprobs needs logprobs: true.", field="top_logprobs")
        limit = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        return check_query(
            Query(
                messages=tuple(self.messages),
                tools=tuple(self.tools or ()),
                tool_choice=self.tool_choice,
                response_format=self.response_format,
                max_tokens=limit,
                stop=_stops(self.stop),
                sampling=Sampling(
                    temperature=self.temperature,
                    top_p=self.top_p,
                    top_k=self.top_k,
                    min_p=self.min_p,
                    presence_penalty=self.presence_penalty,
                    frequency_penalty=self.frequency_penalty,
                    repetition_penalty=self.repetition_penalty,
                    seed=self.seed,
                ),
                logprobs=(self.top_logprobs or 0) if self.logprobs else None,
                extra=self._extra(),
            )
        )

    def wish(self, router: Router) -> Wish:
        """The wish; `reasoning_effort: none` is one too. Raises UnknownModel, BadRequest."""
        if self.reasoning_effort != "none":
            return super().wish(router)
        if self.thinking_budget not in (None, 0, "off"):
            raise BadRequest(
                f"reasoning_effort is none and thinking_budget is {self.thinking_budget}: they contradict each other.",
                field="reasoning_effort",
            )
        return self.model_copy(update={"thinking_budget": 0, "reasoning_effort": None}).wish(router)

    def _extra(self) -> dict[str, Any]:
        """What goes to the model's server as it came."""
        extra = dict(self.model_extra or {})
        if self.reasoning_effort not in (None, "none"):
            extra["reasoning_effort"] = self.reasoning_effort
        for name in ("parallel_tool_calls", "user", "metadata"):
            if (value := getattr(self, name)) is not None:
                extra[name] = value
        return extra

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with a chunk that holds the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class RouteRequest(Wishes):
    """A decision's request: a question or a conversation, and the same wishes as with a chat completion."""

    model_config = ConfigDict(extra="forbid")

    query: str | None = Field(None, description="one question; or give messages", examples=["What is 17 * 23?"])
    messages: Messages | None = None
    tools: Tools = None
    response_format: dict[str, Any] | None = None
    max_tokens: int | None = Field(None, le=MAX_TOKENS)

    def asked(self) -> Query:
        """The query. Raises BadRequest naming the field."""
        if (self.query is None) == (self.messages is None):
            raise BadRequest("Give either query (text) or messages.", field="messages")
        messages = [{"role": "user", "content": self.query}] if self.messages is None else self.messages
        return check_query(
            Query(
                messages=tuple(messages),
                tools=tuple(self.tools or ()),
                response_format=self.response_format,
                max_tokens=self.max_tokens,
            )
        )


class FeedbackRequest(BaseModel):
    """How a decision turned out, and who says so."""

    model_config = ConfigDict(extra="forbid")

    decision_id: str = Field(description="the header x-pointsman-decision-id of the answer")
    metric: str | None = Field(
        None,
        description="correct (0 or 1), score (0 to 1), or verdict; left out: verdict for its words, else correct",
        examples=["correct"],
    )
    value: bool | Number | str = Field(
        description="a number; for verdict: good_fit, underpowered, overprovisioned or failed", examples=[1]
    )
    source: str = Field("user", description="who says so: human, user, check, judge, import", examples=["human"])
    idempotency_key: str | None = Field(None, description="the same key on the same decision is taken once")


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    return tuple(word for word in ([stop] if isinstance(stop, str) else stop or ()) if word)
