"""Sets a route to work on a query: the call it gets, what of an answer is there already, and the watch on the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..backends import UNADVISED, Advice, Engine, Mode, Text, Thought, ToolCallDelta, prepare
from ..domain import Call, Route, Usage
from . import policy
from .attempts import Watch, shown
from .buying import Bought, can_go_on, rest_of
from .decide import Decider
from .handing_over import handed_over
from .kept_thoughts import beginning
from .looping import Looping
from .modes import loop_of
from .run import Run
from .signs import ALTERNATIVES


@dataclass(frozen=True, slots=True)
class Opened:
    """A route at work. shown: what is there of its answer, to be given to the caller before what comes; said: on that,
    for the decision."""

    watch: Watch
    shown: tuple[Thought | Text | ToolCallDelta, ...] = ()
    said: str = ""


class Opening:
    """Opens routes. engine: by model name; deadline_ms: of one call; hand_over: whether the next route of another model
    is told what the one before said, where nothing was learnt of it."""

    def __init__(
        self,
        decider: Decider,
        engine: Callable[[str], Engine],
        modes: Mapping[str, Mode],
        bought: Bought,
        *,
        advice: Mapping[str, Advice] | None = None,
        deadline_ms: float | None = None,
        hand_over: bool = False,
    ) -> None:
        self._decider, self._engine, self._modes, self._bought = decider, engine, modes, bought
        self._advice, self._deadline_ms, self._hand_over = advice or {}, deadline_ms, hand_over

    def open(self, run: Run, step: policy.Step) -> Opened:
        """The step's route at work; where its answer was begun, on the rest of it. Raises BadRequest."""
        if isinstance(step, policy.Commit) and step.bought is not None:
            kept = run.kept[step.bought]
            if (watch := self._resumed(run, kept.watch)) is not None:
                watch.signs = run.take(step.bought).signs
                wanted = run.considered.query.logprobs
                return Opened(run.begin(watch), tuple(shown(event, wanted) for event in kept.events))
        return self._started(run, step)

    def _started(self, run: Run, step: policy.Step) -> Opened:
        considered = run.considered
        route = considered.routes[step.route]
        call, loop = self._call(run, route), loop_of(route.mode)
        if isinstance(step, policy.Buy) and considered.terms.climb is not None:
            call = self._bought.limited(call, route, considered.terms.climb, loops=loop is not None)
        elif run.signs:
            call = replace(call, logprobs=max(call.logprobs or 0, ALTERNATIVES))
        self._decider.outages.trying(route.model)
        prompt = self._decider.counts.prompt_tokens(route.model, considered.query)
        cap = self._bought.cap(considered.terms.climb) if run.signs else None
        engine = self._engine(route.model)
        if loop is not None:
            looping = Looping(engine, route, call, loop, prompt)
            return Opened(run.begin(Watch(route, call, looping.events(), prompt, cap=cap, spent=looping.usage)))
        begun, said = beginning(call, route, run.kept.values())
        if begun is None:
            if self._hand_over and considered.terms.climb is None:
                call = handed_over(call, route, run.kept.values())
            return Opened(run.begin(Watch(route, call, engine.stream(call), prompt, cap=cap)), said=said)
        events = engine.stream(begun.call)
        watch = Watch(route, call, events, prompt, cap=cap, begun=begun.thoughts, kept=begun.tokens)
        wanted = considered.query.logprobs
        return Opened(run.begin(watch), tuple(shown(event, wanted) for event in begun.thoughts), said)

    def _call(self, run: Run, route: Route) -> Call:
        advice = self._advice.get(route.model, UNADVISED)
        known = run.considered.estimates.get(route.name)
        expected = known.output_tokens if known is not None and known.measured else None
        if loop_of(route.mode) is not None:  # each of its calls is as in mode think
            route = replace(route, mode="think")
        call = prepare(run.considered.query, route, self._modes, advice, expected)
        return replace(call, deadline_ms=self._deadline_ms)

    def _resumed(self, run: Run, cut: Watch) -> Watch | None:
        """The rest of an answer that was cut; None where it must be asked for anew."""
        call = self._call(run, cut.route)
        if cut.finished is None or cut.spent is not None or not can_go_on(call, cut.route):
            return None
        ended = cut.finished.continuation is not None and cut.finished.continuation.ended
        used = cut.finished.usage
        used = Usage(used.prompt, used.cached, used.thought + cut.kept, used.answer)
        rest = rest_of(call, cut.thought, cut.text, used, ended=ended)
        if rest is None:
            return None
        self._decider.outages.trying(cut.route.model)
        return Watch(cut.route, rest, self._engine(cut.route.model).stream(rest), cut.prompt, before=cut)
