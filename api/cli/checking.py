"""`pointsman check`: does each route do what its name says, on the engine that it runs on?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import BackendUnavailable, BadRequest, StoreError
from .options import Where, located
from .reports import money
from .screen import err, out

if TYPE_CHECKING:
    from ...backends import Identity
    from ...domain import Route
    from ...router import Router
    from ...router.jobs.conformance.run import Checked
    from ...router.jobs.conformance.trials import Subject

QUESTIONS = 3
"""Questions a finding rests on, where nobody says."""
MOST_QUESTIONS = 8
"""The most that there are (router/jobs/conformance/questions.py)."""
NOT_LOADED = "not loaded: skipped (--load has its engine load it)"


@located
def check(
    where: Where,
    route: Annotated[
        list[str] | None, typer.Option("--route", metavar="NAME", help="Only this route; may be repeated. Absent: all.")
    ] = None,
    n: Annotated[
        int, typer.Option("--n", metavar="N", min=1, max=MOST_QUESTIONS, help="Questions that a finding rests on.")
    ] = QUESTIONS,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write what was found as JSON; -: to standard output.")
    ] = None,
    load: Annotated[bool, typer.Option("--load", help="Check models too that their engine must load first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever it costs.")] = False,
) -> None:
    """Check that off is off, budgets are kept, answers are never empty; and what else the engines can do.

    Asks each model some short questions. What is found is kept in the store, shown when serving starts, and warned of
    in responses. Exit code 1: a route's name does not tell the truth."""
    from ...router import Router
    from ...router.jobs.conformance.subjects import chosen
    from .check_report import show, write

    found, _ = where.load()
    with Router(found) as router:
        wanted = chosen(router, route)
        note = _upgraded(router)
        checked = _run(router, wanted, n, load=load, yes=yes)
        note = note or _kept(router, checked)
    if as_json is not None:
        write(as_json, checked)
    if as_json != "-":
        for part in show(checked):
            out().print(part, soft_wrap=isinstance(part, str))
    if note:
        err().print(note, markup=False, soft_wrap=True)
    if any(one.broken for one in checked):
        raise typer.Exit(1)
    dead = [one for one in checked if one.skipped not in (None, NOT_LOADED)]
    if dead and len(dead) == len(checked):
        raise BackendUnavailable(f"nothing could be checked: {dead[0].skipped}", backend=dead[0].model)


def _upgraded(router: Router) -> str | None:
    """Bring the store's tables up to date; a sentence where that cannot be done, which stops no check."""
    try:
        router.store.upgrade()
    except StoreError as error:
        return f"Nothing is remembered: {error}"
    return None


def _kept(router: Router, checked: Sequence[Checked]) -> str | None:
    """Keep what was found; a sentence where that cannot be done."""
    try:
        router.store.add_checks([row for one in checked for row in one.rows()])
    except StoreError as error:
        return f"Nothing is remembered: {error}"
    return None


def _run(
    router: Router, wanted: Mapping[str, tuple[Route, ...]], n: int, *, load: bool, yes: bool
) -> tuple[Checked, ...]:
    import asyncio

    from ...router.build import ask_identities
    from ...router.jobs.conformance.run import Checked
    from ...router.jobs.conformance.subjects import not_loaded, subject

    screen = err()

    async def whole() -> tuple[Checked, ...]:
        with screen.status("starting the engines"):
            endpoints = await asyncio.to_thread(router.endpoints, wanted)
            identities = await ask_identities({name: router.models[name] for name in wanted}, endpoints)
        skipped = {} if load else dict.fromkeys(not_loaded(identities), NOT_LOADED)
        skipped |= {name: "its server does not answer" for name in wanted if name not in identities}
        at_hand = [name for name in wanted if name not in skipped]
        try:
            await router.open_engines(endpoints, at_hand)
            subjects = [await subject(router, name, wanted[name]) for name in at_hand]
            _agree(router, subjects, n, yes=yes)
            done = {one.model: await _one(router, one, identities, n) for one in subjects}
        finally:
            for engine in router.engines.values():
                await engine.aclose()
            router.engines.clear()
        return tuple(
            done.get(name) or Checked(name, identities.get(name), skipped=skipped.get(name)) for name in wanted
        )

    return asyncio.run(whole())


async def _one(router: Router, asked: Subject, identities: Mapping[str, Identity], n: int) -> Checked:
    from ...router.jobs.conformance.run import check_model

    with err().status(f"checking {asked.model}") as status:

        def told(done: int, of: int) -> None:
            status.update(f"checking {asked.model}: {done} of {of} calls")

        return await check_model(asked, router.engines[asked.model], identities.get(asked.model), n=n, progress=told)


def _agree(router: Router, subjects: Sequence[Subject], n: int, *, yes: bool) -> None:
    """Say what it costs at most; where somebody is paid for it, ask. Raises BadRequest where nobody can be asked, Exit
    where the answer is no."""
    from ...router.jobs.conformance.subjects import paid
    from ...router.jobs.conformance.trials import Trials

    told = {one.model: Trials(one, n).estimate() for one in subjects}
    screen, priced = err(), paid(router, list(told))
    for name, cost in told.items():
        price = f", {money(cost.cost)} at its routes' prices" if name in priced else ""
        screen.print(
            f"{name}: {cost.calls} calls, at most {cost.input_tokens + cost.output_tokens:,} tokens{price}",
            markup=False,
            soft_wrap=True,
        )
    if not priced or yes:
        return
    if not sys.stdin.isatty():
        raise BadRequest(
            f"Checking {', '.join(priced)} costs money, and nobody can be asked: give --yes, or --route with others.",
            field="yes",
        )
    if not typer.confirm("Go on?", err=True):
        raise typer.Exit(0)
