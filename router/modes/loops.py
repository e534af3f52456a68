"""The modes that loop: what each is called, the numbers that it takes, and what it needs of engine and query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from types import MappingProxyType
from typing import cast

from ...backends import Mode, mode
from ...domain import Call, Query, Route, Sampling
from ...errors import BadRequest
from .calls import Steps

_SPELLED = re.compile(r"(?P<base>[^()]+)\((?P<given>.*)\)", re.DOTALL)
_NUMBER = re.compile(r" *[0-9]{1,9} *")
_UNSAID = Sampling()
VARIED = Sampling(temperature=0.8)
"""How samples are drawn where nobody says: without chance they would all be the same."""


@dataclass(frozen=True, slots=True)
class Number:
    """One of a mode's numbers, a whole one from `least` to `most`."""

    name: str
    least: int
    most: int
    default: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A looping mode. name: with its numbers, once they are given; where: `module:function` of its steps, in this room;
    think: True where it must be able to think, None where its route's budget says; continues: whether the engine must
    be able to go on with a thought that was cut; sampling: how tokens are drawn where nobody says."""

    name: str
    about: str
    source: str
    where: str
    numbers: tuple[Number, ...]
    think: bool | None = None
    continues: bool = False
    sampling: Sampling = _UNSAID
    given: tuple[int, ...] = ()

    @property
    def own_budget(self) -> None:
        """It has no thinking budget of its own: the route's holds."""

    def budget(self, budget: int | None) -> int | None:
        """The thinking budget of a route with this one. Raises BadRequest where it must think and may not."""
        if self.think and budget == 0:
            raise BadRequest(
                f"The mode {self.name} thinks, but no thought is asked for: they contradict.", field="mode"
            )
        return budget

    def steps(self, query: Call) -> Steps:
        """The mode at work on a query, as its route's model is asked it."""
        module, function = self.where.split(":")
        begin = cast(
            "Callable[[Call, Sequence[int]], Steps]", getattr(import_module(f".{module}", __package__), function)
        )
        return begin(query, self.given)


LOOPS: Mapping[str, Loop] = MappingProxyType(
    {
        loop.name: loop
        for loop in (
            Loop(
                "vote",
                "Asks several times, and stops as soon as the majority cannot be overtaken.",
                "arXiv:2408.13457 (self-consistency that stops early), arXiv:2505.12992 (votes of cut thoughts)",
                "votes:vote",
                (Number("samples", 3, 32, 5),),
                sampling=VARIED,
            ),
            Loop(
                "first",
                "Asks several times at once; what most of the first to finish say is the answer, others are cancelled.",
                "arXiv:2505.17813 (short-m@k), arXiv:2505.18149 (first finish search)",
                "votes:first",
                (Number("finished", 1, 32, 3), Number("samples", 2, 32, 5)),
                sampling=VARIED,
            ),
            Loop(
                "early-exit",
                "Asks for a trial answer at intervals of the thought, and stops when it is the same several times.",
                "arXiv:2412.20993 (Dynasor), arXiv:2504.15895 (DEER), arXiv:2604.04930 (CoDE-Stop: giving up)",
                "early_exit:early_exit",
                (Number("tokens", 4, 100_000, 64), Number("times", 2, 16, 3)),
                think=True,
                continues=True,
            ),
        )
    }
)


def loop_of(name: str) -> Loop | None:
    """The looping mode of this name, as in `vote(5)` or `early-exit(32,2)`, with its numbers; those that are left out,
    from the last on, have their defaults. None where it is none. Raises BadRequest for numbers that it cannot have."""
    found = _SPELLED.fullmatch(name)
    loop = LOOPS.get(name if found is None else found["base"])
    if loop is None:
        return None
    given = [] if found is None else found["given"].split(",")
    if len(given) > len(loop.numbers) or not all(map(_NUMBER.fullmatch, given)):
        raise _wrong(name, loop)
    values = tuple(int(text) for text in given) + tuple(n.default for n in loop.numbers[len(given) :])
    if not all(n.least <= value <= n.most for n, value in zip(loop.numbers, values, strict=True)):
        raise _wrong(name, loop)
    if loop.name == "first" and values[0] > values[1]:
        raise BadRequest(f"{name}: of {values[1]} samples, {values[0]} cannot finish.", field="mode")
    return replace(loop, name=_spelled(loop.name, values), given=values)


def mode_of(name: str, modes: Mapping[str, Mode] | None = None) -> Mode | Loop:
    """The mode of this name, whichever its kind, from `modes` (None: the shipped) and the looping ones. Raises
    BadRequest listing the known ones, or for a number that it cannot have."""
    if (loop := loop_of(name)) is not None:
        return loop
    try:
        return mode(name, modes)
    except BadRequest as error:
        if error.code != "mode_not_found":
            raise
        raise BadRequest(
            f"{error.problem.removesuffix('.')}, {', '.join(LOOPS)}.", field="mode", code=error.code
        ) from None


def unable(route: Route, query: Query | None = None) -> str | None:
    """Why a route cannot answer in its looping mode, in words that follow its name; None where it can. query: None asks
    of the engine alone."""
    loop = loop_of(route.mode)
    if loop is None or not loop.continues:
        return None
    if route.capabilities.continues is not True:
        return f"goes on with a thought that was cut, which the engine of {route.model} cannot"
    if query is None:
        return None
    if query.tools or query.response_format:
        return "cuts its answers, which cannot be gone on with where tools or a response format bind them"
    if not all(message.get("content") is None or isinstance(message.get("content"), str) for message in query.messages):
        return "goes on with a thought that was cut, which cannot be done with images or other parts in a message"
    return None


def fitting(routes: Sequence[Route], query: Query, all_routes: Sequence[Route]) -> tuple[Route, ...]:
    """Those of the routes that can answer this query in their modes. all_routes: the owner's, to name models that
    could.

    Raises BadRequest where there is none."""
    left = tuple(route for route in routes if unable(route, query) is None)
    if left or not routes:
        return left
    route = routes[0]
    raise BadRequest(f"The mode {route.mode} {unable(route, query)}{_others(route, all_routes)}.", field="mode")


def _others(route: Route, routes: Sequence[Route]) -> str:
    """Whose engines could, where this one cannot."""
    if route.capabilities.continues is True:
        return ""
    return could(sorted({r.model for r in routes if r.capabilities.continues is True}))


def could(models: Sequence[str]) -> str:
    """The end of a sentence that says of which models the engines can go on with a thought."""
    return f"; these models' can: {', '.join(models)}" if models else "; no model's here can"


def _spelled(base: str, values: Sequence[int]) -> str:
    return f"{base}({','.join(map(str, values))})"


def _wrong(name: str, loop: Loop) -> BadRequest:
    ranges = " and ".join(f"{n.name} from {n.least} to {n.most}" for n in loop.numbers)
    example = _spelled(loop.name, [n.default for n in loop.numbers])
    return BadRequest(f"{name:.60}: {loop.name} takes {ranges}, as in {example}.", field="mode")
