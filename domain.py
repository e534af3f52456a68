"""The values that every room shares: frozen dataclasses and enums, no behaviour of their own.

The words are those of the project: a *query* is sent down a *route*; a route's work is one or more *calls*;
a *decision* says which route and why; an *outcome* says what came of it. Units: tokens are counts, times are
milliseconds, money is the owner's one currency, prices are per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


class Tier(StrEnum):
    """Where a route stands among its siblings, cheapest first; `auto:small` and so on ask for one by it."""

    SMALL = "small"
    BUDGETED = "budgeted"
    FULL = "full"


class Enforcement(StrEnum):
    """How a thinking budget is kept: by the engine, by cutting and continuing, by asking for it, or not at all."""

    NATIVE = "native"
    TWO_PASS = "two-pass"
    PROMPT = "prompt"
    NONE = "none"


class Finish(StrEnum):
    """Why an answer ended. `error` and `cancelled` are ours; the others are OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    CANCELLED = "cancelled"


class Purpose(StrEnum):
    """What a call is for."""

    ANSWER = "answer"
    PROBE = "probe"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; None leaves a value to the route's mode, then to the engine."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Messages in OpenAI's chat form plus what they demand of a model.

    `max_tokens` bounds thought and answer together. `logprobs` is how many alternatives a token the caller wants to
    see (0: only the token drawn; None: no log-probabilities). `extra` holds request fields that we do not know and
    pass on as they are. `group` is the task or topic with which it is held out where it is learnt from; no model sees
    it (None: nobody said, so it is one of its own)."""

    messages: tuple[Json, ...]
    tools: tuple[Json, ...] = ()
    tool_choice: str | Json | None = None
    response_format: Json | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    logprobs: int | None = None
    extra: Json = field(default_factory=dict[str, Any])
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for by name; it always wins. All None: the router is free (`auto`).

    At most one of `tier`, `route` and `model` is set. `thinking_budget`: 0 is off, a number is the most tokens of
    thought, None leaves the route's own; `unlimited` asks for the model's whole thought. `mode_thinks`: whether the
    mode that is asked for may think (None: none is, or it is not known). `objective` replaces the configured one for
    this query (`auto:0.9`)."""

    tier: Tier | None = None
    route: str | None = None
    model: str | None = None
    mode: str | None = None
    thinking_budget: int | None = None
    unlimited: bool = False
    mode_thinks: bool | None = None
    objective: Objective | None = None


class ObjectiveKind(StrEnum):
    """What the owner wants of routing."""

    QUALITY = "quality"
    WILLINGNESS_TO_PAY = "willingness_to_pay"
    MAX_COST = "max_cost"


@dataclass(frozen=True, slots=True)
class Objective:
    """`quality`: keep, on average over the traffic, this share (0 to 1] of the best fixed route's correctness at the
    lowest cost. `willingness_to_pay`: the most, in currency, that one more correct answer may cost. `max_cost`: the
    most, in currency, that one query is expected to cost."""

    kind: ObjectiveKind = ObjectiveKind.QUALITY
    value: float = 0.98


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, by kind. `assumed` marks prices that the owner did not give: active parameters in
    billions for output, a tenth of it for input, nothing for cached input. `listed` marks those of LiteLLM's table, in
    US dollars."""

    input: float
    cached_input: float
    output: float
    assumed: bool = False
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model behind an engine can do; None where the engine does not say. `context` is in tokens."""

    context: int | None = None
    tools: bool | None = None
    images: bool | None = None
    thinks: bool | None = None
    switchable: bool | None = None
    """Whether thinking can be turned off."""
    continues: bool | None = None
    """Whether an answer that was cut off can be gone on with."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer: a model, in a mode, with a thinking budget (0: off, None: the model's own length)."""

    name: str
    model: str
    mode: str
    thinking_budget: int | None
    price: Price
    tier: Tier | None = None
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call by kind. `prompt` includes `cached`; `thought` and `answer` are disjoint, the closing words
    that an engine forces after a cut thought are thought."""

    prompt: int = 0
    cached: int = 0
    thought: int = 0
    answer: int = 0

    @property
    def output(self) -> int:
        """Thought and answer together: what is billed as output."""
        return self.thought + self.answer


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model, whatever it is for.

    messages: OpenAI's chat form; or `rendered`, text (or token ids) that goes to the model as it is.
    thinking_budget: the most tokens of thought, a prefix apart; 0 is off, None is no limit. least: where the model
    knows degrees of effort, the lowest at which it still thinks.
    thought_prefix, answer_prefix: text that the model goes on from: an open thought, or (the thought, if any, being
    closed) the beginning of the answer. Prefixes are not repeated in the events.
    max_tokens: bound on thought and answer together; max_answer_tokens: on the answer alone. resumable: what is cut at
    max_tokens will be gone on with, so none of them are kept for an answer, a thought is cut in its middle, and what is
    uncertain there (half a character, what may become a stop sequence) is left for the call that goes on.
    response_format: OpenAI's `response_format`; `grammar`: the engine's grammar (GBNF on llama.cpp). Both bind the
    answer, not the thought.
    deadline_ms: the whole call's time limit from its start.
    extra: further fields of the engine's request, as they are."""

    messages: tuple[Json, ...] = ()
    rendered: str | tuple[int, ...] | None = None
    purpose: Purpose = Purpose.ANSWER
    thinking_budget: int | None = None
    thought_prefix: str = ""
    answer_prefix: str = ""
    max_tokens: int | None = None
    max_answer_tokens: int | None = None
    resumable: bool = False
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    logprobs: int | None = None
    response_format: Json | None = None
    grammar: str | None = None
    tools: tuple[Json, ...] = ()
    tool_choice: str | Json | None = None
    deadline_ms: float | None = None
    extra: Json = field(default_factory=dict[str, Any])
    least: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one route is expected to do with one query. `_se` are standard errors of the estimate.

    p_correct in [0, 1]; tokens are counts; cost in currency; latency_ms None where nothing was measured. measured:
    whether p_correct rests on outcomes; else on a convention, and says nothing of this query. load_ms: how long the
    route's model would have to be loaded first (None: it is in memory, or not known); load_cost: what this query is
    charged for it, in currency, on top of cost."""

    route: str
    p_correct: float
    p_correct_se: float
    input_tokens: float
    output_tokens: float
    output_tokens_se: float
    cost: float
    cost_se: float
    latency_ms: float | None = None
    measured: bool = True
    load_ms: float | None = None
    load_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a route for a query: an answer (the last one is what the caller got), or evidence bought before it.

    cost in currency at `price`; `error` is the sentence of what failed, None where nothing did. signs: what the
    answer's own token probabilities say of it, by name (router/signs.py); empty where none were given. kept: tokens of
    thought that it went on with; an attempt before it made and paid for them, and to this one they are part of the
    prompt."""

    route: str
    model: str
    purpose: Purpose
    usage: Usage
    price: Price
    cost: float
    latency_ms: float
    first_token_ms: float | None
    finish: Finish
    enforced: Enforcement
    thinking_budget: int | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    answer: str | None = None
    signs: Mapping[str, float] = field(default_factory=dict[str, float])
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The route chosen for a query, and why.

    estimates: by route name, empty where nothing is known; evidence: what was bought on the way, in order;
    propensity: probability of this choice under the policy, in (0, 1]; observed: under `policy: observe`, the name of
    the route that `auto` would have taken; confidence: probability that the answer is right, None where unknown."""

    id: str
    created_at: datetime
    route: Route
    reason: str
    objective: Objective
    policy: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    evidence: tuple[Attempt, ...] = ()
    propensity: float = 1.0
    artifact: str | None = None
    confidence: float | None = None
    observed: str | None = None
    overhead_ms: float = 0.0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.route.name}: {self.reason}"

    def __repr__(self) -> str:
        """For a prompt or a notebook: the reason, then a line for every route's estimate, the chosen one marked."""
        lines = [f"<Decision {self} [{self.overhead_ms:.1f} ms, artifact {self.artifact or 'none'}]"]
        for name, e in self.estimates.items():
            mark = "->" if name == self.route.name else "  "
            right = f"{e.p_correct:6.1%} ± {e.p_correct_se:.1%} right" if e.measured else "right: not measured"
            lines.append(
                f"  {mark} {name:12} {right}, "
                f"{e.output_tokens:6.0f} ± {e.output_tokens_se:.0f} tokens, cost {e.cost:.3g}"
                + ("" if e.load_ms is None else f", load {e.load_ms / 1000:.1f} s at {e.load_cost:.3g}")
            )
        return "\n".join(lines) + ">"


class Source(StrEnum):
    """Who says whether an answer was right."""

    HUMAN = "human"
    USER = "user"
    CHECK = "check"
    JUDGE = "judge"
    IMPORT = "import"


class Metric(StrEnum):
    """What an outcome measures: `correct` is 0 or 1, `score` a share in [0, 1], `verdict` a `Verdict`."""

    CORRECT = "correct"
    SCORE = "score"
    VERDICT = "verdict"


class Verdict(StrEnum):
    """A person's word on the choice of route: right and not wasteful; too weak a route; too dear a one; no answer."""

    GOOD_FIT = "good_fit"
    UNDERPOWERED = "underpowered"
    OVERPROVISIONED = "overprovisioned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One statement on how a decision turned out; many per decision. The same idempotency key is taken once."""

    decision_id: str
    metric: Metric
    value: float | Verdict
    source: Source
    created_at: datetime
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One route's result on one query, as training and evaluation read it: from the store or from a table of outcomes.

    query_id: one per distinct question; group: what is held out together (a benchmark, a topic; where nobody said, the
    query itself); text: None where texts are not stored, then `features` and `embedding` are there; correct in [0, 1],
    None where nobody said; sample: which repetition; weight: how much the statement counts, in (0, 1]; model,
    thinking_budget and mode: what the route stood for when it answered (model None: the route's name alone says it;
    mode None: not known); signs: as an Attempt's; probe_cost: currency paid for probes about this answer;
    thought_tokens: how many of the output's are thought (None: not known)."""

    query_id: str
    group: str
    route: str
    correct: float | None
    input_tokens: float | None
    output_tokens: float | None
    text: str | None = None
    answer: str | None = None
    sample: int = 0
    weight: float = 1.0
    features: tuple[float, ...] | None = None
    embedding: tuple[float, ...] | None = None
    model: str | None = None
    thinking_budget: int | None = None
    mode: str | None = None
    signs: Mapping[str, float] = field(default_factory=dict[str, float])
    probe_cost: float = 0.0
    thought_tokens: float | None = None
