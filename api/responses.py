"""What answers look like, for the description of the endpoints. Answers are written as plain dicts; the tests hold them
against these models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class PromptDetails(BaseModel):
    """Of the prompt's tokens."""

    cached_tokens: int


class CompletionDetails(BaseModel):
    """Of the completion's tokens."""

    reasoning_tokens: int = Field(description="tokens of thought")


class UsageBody(BaseModel):
    """Tokens of the answer, thought included."""

    prompt_tokens: int
    completion_tokens: int = Field(description="thought and answer")
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class MessageBody(BaseModel):
    """The answer's message."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = Field(None, description="the thought; the setting reasoning_field names the field")
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Choice(BaseModel):
    """The one answer."""

    index: int
    message: MessageBody
    logprobs: dict[str, Any] | None
    finish_reason: str = Field(description="stop, length, tool_calls or content_filter")


class ChatCompletion(BaseModel):
    """An answer that is not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="the model that answered")
    choices: list[Choice]
    usage: UsageBody


class PriceBody(BaseModel):
    """What a million tokens cost, by kind; assumed: from the model's size."""

    input: float
    cached_input: float
    output: float
    assumed: bool


class RouteBody(BaseModel):
    """One way to answer."""

    name: str
    model: str
    mode: str
    thinking_budget: int | None = Field(description="tokens; 0: off; null: unlimited")
    tier: str | None
    price: PriceBody


class EstimateBody(BaseModel):
    """What a route is expected to do with the query; `_se` are standard errors."""

    measured: bool = Field(description="whether p_correct rests on outcomes; false: on a convention")
    p_correct: float
    p_correct_se: float
    input_tokens: float
    output_tokens: float
    output_tokens_se: float
    cost: float
    cost_se: float
    latency_ms: float | None
    load_ms: float | None = Field(description="time to load its model first; null: it is in memory, or not known")
    load_cost: float = Field(description="currency that the query is charged for the load, on top of cost")


class ObjectiveBody(BaseModel):
    """What was wanted."""

    kind: str
    value: float


class DecisionBody(BaseModel):
    """The route chosen for a query, and why."""

    id: str
    created_at: datetime
    route: RouteBody
    reason: str
    confidence: float | None = Field(description="probability that the answer is right; null: unknown")
    propensity: float = Field(description="probability of this choice under the policy")
    objective: ObjectiveBody
    policy: str
    artifact: str | None = Field(description="what was learnt; null: nothing yet")
    observed: str | None = Field(description="under `policy: observe`: the route that auto would have taken")
    estimates: dict[str, EstimateBody] = Field(description="by route; empty where nothing is known")
    overhead_ms: float
    warnings: list[str]


class AttemptUsage(BaseModel):
    """Tokens by kind; prompt includes cached."""

    prompt: int
    cached: int
    thought: int
    answer: int


class AttemptBody(BaseModel):
    """One run of a route."""

    route: str
    model: str
    purpose: str
    thinking_budget: int | None
    enforced: str
    usage: AttemptUsage
    kept: int = Field(description="tokens of another attempt's thought that it went on with; to it they are prompt")
    price: PriceBody
    cost: float
    latency_ms: float
    first_token_ms: float | None
    finish: str
    error: str | None
    warnings: list[str]


class OutcomeBody(BaseModel):
    """What somebody said of the answer."""

    metric: str
    value: float | str
    source: str
    created_at: datetime
    idempotency_key: str | None


class RecordBody(DecisionBody):
    """A decision with what was run and what was said of it; no texts."""

    evidence: list[AttemptBody] = Field(description="what was bought before the route stood")
    attempts: list[AttemptBody] = Field(description="in order; the last is the one that the caller got")
    outcomes: list[OutcomeBody]


class ReceiptBody(BaseModel):
    """What became of a statement."""

    decision_id: str
    accepted: bool
    duplicate: bool = Field(description="it had been taken before, and was not taken again")


class ModelBody(BaseModel):
    """A name that can be asked for."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    pointsman: dict[str, Any] = Field(description="kind (auto, route or model), model, mode, budget, context, price")


class ModelList(BaseModel):
    """Every name that can be asked for."""

    object: Literal["list"]
    data: list[ModelBody]


class StoreState(BaseModel):
    """How the store's queue stands."""

    depth: int = Field(description="records that wait to be written")
    written: int
    dropped: int = Field(description="records lost since the start: queue full, or refused by the database")
    failing: str | None = Field(description="what is wrong with the database now")


class Readiness(BaseModel):
    """Whether answers can be given, and what is missing."""

    ready: bool
    missing: dict[str, str] = Field(description="model servers that are not well, and embedded models not installed")
    engines: dict[str, str]
    routes: list[str]
    checked: dict[str, str] = Field(description="by route: how its budget is kept, and when that was checked")
    artifact: str | None
    store: StoreState
