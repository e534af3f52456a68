"""`pointsman calibrate`: verifiable questions through all routes, and what is learnt from them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import BadRequest
from .options import Where, located
from .reports import money
from .screen import err, out

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.status import Status

    from ...router import Router
    from ...router.jobs.calibrate import Ran
    from ...router.jobs.journal import Journal
    from ...router.jobs.trying import Pace
    from ...router.jobs.verifiable import Verifiable

BUILTIN = 300
"""Questions where neither --builtin nor --data says which."""


@located
def calibrate(
    where: Where,
    builtin: Annotated[
        int | None, typer.Option(metavar="N", min=1, help=f"So many questions that come with it. Absent: {BUILTIN}.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own questions: JSON lines of question, answer, kind.")
    ] = None,
    routes: Annotated[str | None, typer.Option(metavar="ROUTE,…", help="Only these routes. Absent: all.")] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Answers to each question, if not always equal.")
    ] = 2,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="T", min=1, help="Bound on thought and answer together.")
    ] = None,
    concurrency: Annotated[int, typer.Option(metavar="K", min=1, help="Runs at once; users wait for them.")] = 2,
    table: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The table of outcomes: .jsonl, .csv or .parquet.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the calibration that was stopped.")] = False,
) -> None:
    """Run questions with known answers through all routes, learn from them, say which budget to fix.

    Needs the extra calibrate. Uses a running server's engines where there is one. Every run is kept at once: after
    Ctrl-C, --resume goes on."""
    from ...router import Router
    from ...router.jobs.calibrate import FOLDER, OUTCOMES, RUNS, conclude
    from ...router.jobs.journal import Journal
    from .calibration_report import show

    found, _ = where.load()
    folder = found.home / FOLDER
    target = _checked_table(table or folder / OUTCOMES)
    names = None if routes is None else [name.strip() for name in routes.split(",") if name.strip()]
    started = time.perf_counter()
    with Router(found) as router:
        asked = _questions(router, builtin, data, names)
        router.store.upgrade()
        with Journal(folder / RUNS, resume=resume) as journal:
            try:
                ran = _run(router, asked, names, samples, max_tokens, journal, concurrency)
                with err().status("fitting, then looking at groups held out") as status:
                    told = partial(_told, status)
                    made = conclude(router, ran, target, told)
            except KeyboardInterrupt:
                _say_how_to_go_on(where, builtin, data, routes, samples, max_tokens, concurrency, table)
                raise
    for part in show(ran, made, time.perf_counter() - started, where.words):
        out().print(part, soft_wrap=isinstance(part, str))


def _told(status: Status, what: str, done: int, of: int) -> None:
    status.update(f"{what}: {done} of {of}")


def _checked_table(file: Path) -> Path:
    """Raises before hours of work, not after: BadRequest for a form that is none, MissingExtra for Parquet."""
    import importlib.util

    from ...errors import MissingExtra

    if file.suffix.lower() not in (".jsonl", ".csv", ".parquet"):
        raise BadRequest(f"--out is a file of .jsonl, .csv or .parquet, not {file.name!r}.", field="out")
    if file.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("Parquet", "data")
    return file


def _questions(
    router: Router, builtin: int | None, data: Path | None, names: Sequence[str] | None
) -> tuple[Verifiable, ...]:
    """What is asked: the owner's questions, those that come with it, or both; with chains where a model is digits."""
    from ...router.jobs.builtin import builtin as drawn
    from ...router.jobs.verifiable import read_questions

    own = read_questions(data) if data is not None else ()
    count = builtin if builtin is not None else (0 if own else BUILTIN)
    models = {route.model for route in router.routes if names is None or route.name in names}
    digits = any(router.models[model].embedded == "digits" for model in models)
    return (*own, *(drawn(count, digits=digits) if count else ()))


def _run(
    router: Router,
    asked: Sequence[Verifiable],
    names: Sequence[str] | None,
    samples: int,
    max_tokens: int | None,
    journal: Journal,
    concurrency: int,
) -> Ran:
    import asyncio

    from ...router.jobs.calibrate import run
    from ...router.jobs.contenders import contenders

    # a name that is wrong is said before an engine starts, and a model that no route here needs is not started
    models = {one.route.model for one in contenders(router, names)}

    async def whole() -> Ran:
        with screen.status("starting the engines"):
            await router.open_engines(await asyncio.to_thread(router.endpoints, models), models)
        try:
            entered = contenders(router, names, samples=samples, max_tokens=max_tokens)
            with _Progress(screen) as progress:
                return await run(router, asked, entered, journal, concurrency=concurrency, progress=progress.at)
        finally:
            for engine in router.engines.values():  # what comes now needs none, and takes minutes
                await engine.aclose()
            router.engines.clear()

    screen = err()
    return asyncio.run(whole())


def _say_how_to_go_on(where: Where, *given: Any) -> None:
    """The command again, with --resume."""
    names = ("--builtin", "--data", "--routes", "--samples", "--max-tokens", "--concurrency", "--out")
    words = [f"{name} {shlex.quote(str(value))}" for name, value in zip(names, given, strict=True) if value is not None]
    command = f"pointsman calibrate {' '.join(words)}{where.words} --resume"
    err().print(f"Stopped; what was run is kept. Go on: {command}", markup=False, soft_wrap=True)


class _Progress:
    """A live bar on a terminal; elsewhere a line at each quarter."""

    def __init__(self, screen: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._screen, self._told = screen, 0
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bars = Progress(*columns, console=screen, disable=not screen.is_terminal)
        self._task: TaskID | None = None
        self._exits = ExitStack()

    def __enter__(self) -> _Progress:
        self._exits.enter_context(self._bars)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def at(self, pace: Pace) -> None:
        """So far it is."""
        if self._screen.is_terminal:
            if self._task is None:
                self._task = self._bars.add_task("", total=pace.total)
            self._bars.update(self._task, completed=pace.done, description=left_words(pace))
        elif (quarter := 4 * pace.done // max(1, pace.total)) > self._told:
            self._told = quarter
            self._screen.print(f"{pace.done} of {pace.total} runs; {left_words(pace)}")


def left_words(pace: Pace) -> str:
    """What is left: time, tokens, cost; and how many failed."""
    minutes, seconds = divmod(round(pace.seconds_left), 60)
    failed = f", {pace.failed} failed" if pace.failed else ""
    return f"left: {minutes}:{seconds:02} min, {pace.tokens_left:,.0f} tokens, cost {money(pace.cost_left)}{failed}"
