"""`pointsman serve`: the parent process. It owns what exists once: the listening socket, the model servers, the store's
tables; a worker process serves HTTP. However the parent ends, everything that it started ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import StoreError
from .options import Where, located
from .screen import err, out

if TYPE_CHECKING:
    from types import FrameType

    from ...backends import Supervisor
    from ...domain import Json
    from ...router.config import Settings
    from .worker_process import Worker

CTRL_C_GRACE_S = 3.0
"""Whoever presses Ctrl-C waits for it: running requests have at most so long, whatever `shutdown_grace_s` says."""
BACK_OFF_S = (0.5, 30.0)
"""First and longest pause before a worker that died is started again; it doubles."""
STEADY_S = 60.0
"""A worker that lived for so long begins with the first pause again."""


class _Told(BaseException):
    """A signal told us to end: raised in the main thread wherever it is, so that no wait outlasts it."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Signals:
    """While this context lasts, SIGINT and SIGTERM raise `_Told`; the handlers from before come back at its end."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held = False
        self._waiting: int | None = None

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._tell) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Generator[None]:
        """A signal that comes in here raises at its end: a process that is half started could not be stopped."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting is not None:
            raise _Told(self._waiting)

    def ignore(self) -> None:
        """From here on signals do nothing: once is enough."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _tell(self, number: int, _: FrameType | None) -> None:
        if not self._held:
            raise _Told(number)
        self._waiting = number


@located
def serve(
    where: Where,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Also POINTSMAN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0: any free. Also POINTSMAN_PORT.")] = None,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Stand in front of this server (key: POINTSMAN_UPSTREAM_API_KEY)."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning, error. Also POINTSMAN_LOG_LEVEL.")
    ] = None,
) -> None:
    """Serve the OpenAI API, each query answered by the route that should. Ctrl-C stops it and all that it started."""
    given = {"host": host, "port": port, "log_level": log_level}
    server = {name: value for name, value in given.items() if value is not None}
    with _Signals() as signals, suppress(_Told):
        notes: tuple[str, ...] = ()
        if upstream is not None:
            from .upstream import configured

            where, notes = configured(where, upstream)
        _serve(where, server, notes, signals)


def _serve(where: Where, server: Json, notes: tuple[str, ...], signals: _Signals) -> None:
    """Start everything, say that it is there, watch over it, stop it at the end. Ends by an error or by `_Told`."""
    from ...backends import check_model
    from ..config import load_server
    from .listening import listen, reachable
    from .worker_process import END_S, Orders, Worker

    settings, origins = where.load()
    config, _ = load_server(settings.server, origins, server)
    for name, model in settings.models.items():
        check_model(name, model)
    with listen(config.host, config.port) as listening, ExitStack() as exits:
        worker = Worker(listening, Orders(where.config, where.overrides, server))
        exits.callback(worker.stop, 0.0)
        try:
            with signals.held():
                worker.start()
            supervisor = _start(settings, where, worker, reachable(listening), notes, exits)
            _watch(worker, supervisor, signals)
        except _Told as told:
            signals.ignore()
            cut = told.number == signal.SIGINT and config.shutdown_grace_s > CTRL_C_GRACE_S
            grace = CTRL_C_GRACE_S if cut else config.shutdown_grace_s
            worker.stop(grace + END_S, cancel_s=grace if cut else None)
            raise


def _start(
    settings: Settings,
    where: Where,
    worker: Worker,
    address: tuple[str, int],
    notes: tuple[str, ...],
    exits: ExitStack,
) -> Supervisor:
    """Bring up the engines and the store's tables while the worker starts; say what there is when all is ready."""
    from ...backends import Supervisor, load_modes
    from ...router.build import build_routes, launched, present_models
    from .banner import Setup, show

    models, missing = present_models(settings)
    routes = build_routes(settings, models, load_modes(settings.modes))

    def again(model: str) -> None:
        _say(f"the server of {model} runs again")
        worker.again(model)

    def down(model: str, why: str) -> None:
        _say(f"{model} is out of service: {why}")
        worker.down(model, why)

    supervisor = Supervisor(settings.home, again=again, down=down, progress=_say)
    with ThreadPoolExecutor(1, "pointsman-tables") as threads:
        tables = threads.submit(prepare_tables, settings)
        exits.callback(supervisor.stop)
        supervisor.start(launched(models))
        _tell(worker, supervisor)
        problem = tables.result()
    ready = worker.await_ready(*address, _say)
    setup = Setup(settings, where, routes, missing, (*notes, *([problem] if problem else [])))
    show(out(), setup, address, ready)
    return supervisor


def _tell(worker: Worker, supervisor: Supervisor) -> None:
    """Tell a worker where the engines are, and which of them keep dying."""
    worker.tell(supervisor.endpoints())
    for name, status in supervisor.status().items():
        if status.state == "down":
            worker.down(name, status.problem or "")


def prepare_tables(settings: Settings) -> str | None:
    """Bring the store's tables up to date. What is wrong with the store, as a sentence: it stops no request."""
    from ...router.build import build_store

    with build_store(settings) as store:
        try:
            store.upgrade()
        except StoreError as error:
            return f"The store cannot be used, so nothing is remembered: {error}"
    return None


def _say(sentence: str) -> None:
    err().print(f"pointsman: {sentence}", markup=False, soft_wrap=True)


def _watch(worker: Worker, supervisor: Supervisor, signals: _Signals) -> None:
    """Start the worker again whenever it ends by itself, with growing pauses. Ends by `_Told` only."""
    pause, longest = BACK_OFF_S
    while True:
        started = time.monotonic()
        code = worker.wait()
        if time.monotonic() - started > STEADY_S:
            pause = BACK_OFF_S[0]
        _say(f"the worker ended with exit code {code}; another starts in {pause:g} s")
        threading.Event().wait(pause)
        with signals.held():
            worker.start()
        _tell(worker, supervisor)
        pause = min(2 * pause, longest)
