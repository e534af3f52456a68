"""`pointsman demo`: the learning story on the miniature reasoning model, with a table and a picture."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import ConfigError
from .files import write_json
from .plots import ROUTES, demo_picture, save_demo_png
from .reports import contestants
from .screen import err, out

if TYPE_CHECKING:
    from rich.console import Console

    from ...domain import Json
    from ...router.config import Settings
    from ...router.jobs.demo import Progress

MODEL = "digits"
PROMISES = {
    "accuracy": "the full route's accuracy, within 1 point",
    "tokens": "at most 60 % of the full route's output tokens",
    "beats_random_mix": "more accurate than random mixing of fixed routes at equal cost",
}
HIDDEN_PROMISES = {
    "accuracy": "with evidence: the best fixed route's accuracy, within 1 point",
    "cheaper_than_text": "with evidence: cheaper than deciding on the text alone",
    "beats_random_mix": "with evidence: more accurate than random mixing at equal cost",
}


def demo(
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw the picture here ([data]).")] = None,
    home: Annotated[
        Path | None, typer.Option("--home", metavar="FOLDER", help="Keep its store and artifact. Absent: thrown away.")
    ] = None,
) -> None:
    """Log 300 queries on a small reasoning model, learn from them, route 600 others: cold, learnt, fixed, at random."""
    started = time.perf_counter()
    with ExitStack() as exits:
        folder = home or Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-demo-")))
        if png is not None:
            _needs_matplotlib()
        result = _play(demo_settings(folder.absolute()))
    show(result, out(), time.perf_counter() - started)
    if json is not None:
        write_json(json, result)
    if png is not None:
        save_demo_png(result, png)
        typer.echo(f"Picture: {png}")


def demo_settings(home: Path) -> Settings:
    """The shipped configuration's three routes on digits, and a store in `home`; the environment is not asked."""
    from ...backends import embedded_path
    from ...router.config import load

    if embedded_path(MODEL) is None:
        raise ConfigError("the demonstration's model is missing: reinstall pointsman", field=f"models.{MODEL}")
    shipped, _ = load(None, {"home": str(home)}, environ={})
    routes = {name: route for name, route in shipped.routes.items() if route.model == MODEL}
    return shipped.model_copy(
        update={"models": {MODEL: shipped.models[MODEL]}, "routes": routes, "safe_route": ROUTES[-1]}
    )


def _play(settings: Settings) -> Json:
    import asyncio

    from ...router import Router
    from ...router.jobs.demo import play
    from ...router.jobs.hidden import play_hidden

    async def run(progress: Progress) -> Json:
        await router.open_engines(await asyncio.to_thread(router.endpoints))
        try:
            told = await play(router, settings.home / "artifacts", progress)
            return {**told, "hidden": await play_hidden(router, settings.home / "artifacts", progress)}
        finally:
            await router.aclose()

    with Router(settings) as router, _Progress(err()) as progress:
        # Not `router.start`: the shipped artifact knows these routes, and a cold router must know nothing.
        router.store.upgrade()
        return asyncio.run(run(progress.at))


class _Progress:
    """Live bars on a terminal; elsewhere a line at each quarter."""

    def __init__(self, screen: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

        self._screen, self._tasks, self._told = screen, dict[str, TaskID](), set[tuple[str, int]]()
        columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=screen, disable=not screen.is_terminal)

    def __enter__(self) -> _Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def at(self, what: str, done: int, total: int) -> None:
        """`done` of `total` runs of this part are through."""
        if self._screen.is_terminal:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total)
            self._bars.update(self._tasks[what], completed=done)
        elif (quarter := 4 * done // total) and (what, quarter) not in self._told:
            self._told.add((what, quarter))
            self._screen.print(f"{what}: {done} of {total}")


def show(result: Json, screen: Console, seconds: float) -> None:
    """The table, the picture, and which promises were kept."""
    entries = [(f"always {name}", result["routes"][name]) for name in ROUTES]
    entries += [("cold", result["cold"]), ("retrained", result["retrained"])]
    entries += [("random mix, same cost", result["random_mix"]), ("oracle", result["oracle"])]
    title = (
        f"{result['n_test']} chains not trained on, {result['n_train']} learnt from; cost: output + 0.1 x input tokens"
    )
    screen.print(contestants(title, entries))
    screen.print(demo_picture(result))
    screen.print("o fixed routes  x cold  # retrained  * oracle  · random mixing of fixed routes\n", style="dim")
    for name, promise in PROMISES.items():
        kept = result["kept"][name]
        screen.print(f"{'kept    ' if kept else 'NOT KEPT'}  {promise}", style="green" if kept else "bold red")
    full, learnt = result["routes"][ROUTES[-1]], result["retrained"]
    _show_hidden(result["hidden"], screen)
    screen.print(
        f"\nRetrained: {learnt['accuracy']:.1%} right at {learnt['output_tokens'] / full['output_tokens']:.0%} of the "
        f"full route's output tokens ({full['accuracy']:.1%} right). It all took {seconds:.0f} s."
    )


def _show_hidden(hidden: Json, screen: Console) -> None:
    """The second story: the same characters in another order."""
    entries = [(f"always {name}", hidden["routes"][name]) for name in ROUTES]
    entries += [("on the text alone", hidden["text_only"]), ("with evidence", hidden["evidence"])]
    entries += [("random mix, same cost", hidden["random_mix"]), ("oracle", hidden["oracle"])]
    title = f"{hidden['n_test']} chains whose text does not tell how hard they are, {hidden['n_train']} learnt from"
    screen.print()
    screen.print(contestants(title, entries))
    for name, promise in HIDDEN_PROMISES.items():
        kept = hidden["kept"][name]
        screen.print(f"{'kept    ' if kept else 'NOT KEPT'}  {promise}", style="green" if kept else "bold red")
    for route, reason in hidden["reasons"].items():
        screen.print(f"  {route}: {reason}", style="dim", markup=False)


def _needs_matplotlib() -> None:
    """Raises MissingExtra before two minutes of work, not after."""
    import importlib.util

    from ...errors import MissingExtra

    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("a picture as PNG", "data")
