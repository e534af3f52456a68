"""`pointsman init`: ask the servers that run what they serve, and write a configuration for them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from ...errors import BackendUnavailable, BadRequest, ConfigError
from .screen import err, out

if TYPE_CHECKING:
    from ...backends.ports import Silent, Survey
    from ...router.proposal import Proposal

FILE = Path("pointsman.yaml")


def init(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Servers to ask too, as http://host:port/v1.", show_default=False),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option("--key-env", metavar="NAME", help="The environment variable that holds the URLs' key."),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--params",
            metavar="MODEL=BILLIONS",
            help="Active parameters of a model whose name does not tell them: its price. May be repeated.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="MODEL", help="Take only this model. May be repeated."),
    ] = None,
    target: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")] = FILE,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
) -> None:
    """Find the model servers that run, propose routes, write a configuration.

    Asks the usual local ports (vLLM, SGLang, llama.cpp, Ollama, LM Studio, llama-swap) and the URLs what they serve.
    """
    given = urls or []
    _check(given, key_env, target, force)
    sizes = parameters(params or [])
    found = _ask(given, key_env)
    from ...router.proposal import propose
    from .proposal_report import show

    proposal = propose(found.servers, params=sizes, only=model or [])
    screen = out()
    for part in show(proposal, found.silent):
        screen.print(part, soft_wrap=isinstance(part, str))
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Write {target}?", default=True):
        raise typer.Exit(0)
    _write(target, proposal)
    screen.print(f"\nWrote {target}. Its comments say what was assumed. Next:", markup=False, soft_wrap=True)
    screen.print(f"  pointsman check --config {target}   # do the servers keep what the routes promise?", markup=False)
    screen.print(f"  pointsman serve --config {target}", markup=False, soft_wrap=True)


def parameters(given: Sequence[str]) -> dict[str, float]:
    """Billions by model, of `MODEL=BILLIONS`; a model's name may hold `=`. Raises BadRequest."""
    sizes: dict[str, float] = {}
    for one in given:
        name, _, text = one.rpartition("=")
        try:
            size = float(text.strip().lower().removesuffix("b"))
        except ValueError:
            size = 0.0
        if not name or not 0 < size < float("inf"):
            problem = f"--params {one!r}: give it as MODEL=BILLIONS, a number above 0, as in Qwen/Qwen3-8B=8.2"
            raise BadRequest(problem, field="params")
        sizes[name] = size
    return sizes


def _check(urls: Sequence[str], key_env: str | None, target: Path, force: bool) -> None:
    """Refuse what cannot end well before any server is asked. Raises ConfigError."""
    if target.exists() and not force:
        raise ConfigError("the file is there already: give --out another name, or --force", where=str(target))
    for url in urls:
        try:
            parts = urlsplit(url)
        except ValueError:
            continue  # it is no address, and asking it says so
        if parts.username or parts.password or parts.query:
            raise ConfigError(
                "a key does not belong into an address: it would stand in the file. Put it into a variable of the "
                "environment and name that with --key-env",
                field="url",
            )
    if key_env is None:
        return
    if not urls:
        raise ConfigError("goes with URLs: a key is not shown to whatever listens on a local port", field="--key-env")
    if not os.environ.get(key_env):
        raise ConfigError(f"the environment variable {key_env} is not set", field="--key-env")


def _ask(urls: Sequence[str], key_env: str | None) -> Survey:
    """What answered. Raises BackendUnavailable where nothing did, or a given address did not."""
    from ...backends import ports

    numbers = ", ".join(str(port.number) for port in ports.PORTS)
    err().print(f"Asking local ports {numbers}" + (f" and {', '.join(urls)}" if urls else "") + " …", markup=False)
    key = os.environ.get(key_env) if key_env else None
    found = asyncio.run(ports.survey(urls, ports.PORTS, api_key=key, key_env=key_env))
    missing = [one for one in found.silent if one.given]
    if missing:
        raise BackendUnavailable("; ".join(f"{one.url}: {one.problem}" for one in missing), backend="init")
    if not found.servers:
        raise BackendUnavailable(_nothing(found.silent), backend="init")
    return found


def _nothing(silent: Sequence[Silent]) -> str:
    """What was tried, and what to do next."""
    tried = "\n".join(f"  {one.url} ({one.engines}): {one.problem}" for one in silent)
    return (
        f"no model server was found. Asked:\n{tried}\n"
        "Start yours and try again, or give its address: pointsman init http://host:port/v1. "
        "Without one, `pointsman serve` alone runs the embedded models."
    )


def _write(target: Path, proposal: Proposal) -> None:
    """Write the configuration, once it is sure that `pointsman serve` takes it. Raises ConfigError."""
    from ...router.build import build_routes
    from ...router.config import load
    from ...router.proposal_text import written

    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = f"Written by `pointsman init` at {made}: the servers that answered, and one way to route between them."
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(written(proposal, head), encoding="utf-8")
        settings = load(draft, environ={})[0]
        build_routes(settings, settings.models)
        draft.replace(target)
    except OSError as error:
        raise ConfigError(f"the file cannot be written: {error.strerror or error}", where=str(target)) from None
    finally:
        draft.unlink(missing_ok=True)
