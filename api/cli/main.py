"""The command `pointsman`: its sub-commands, and what a failure looks like from outside.

Exit codes: 0 done; 1 a server, a model or the store failed; 2 what was given is wrong (arguments, configuration, data);
130 stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from ... import __version__
from ...errors import ArtifactError, BackendError, LaunchError, NotFittedError, PointsmanError, StoreError
from . import (
    asking,
    calibrating,
    checking,
    configuration,
    database,
    demonstration,
    evaluating,
    initialising,
    learning,
    serve,
)

FAILURES = (ArtifactError, BackendError, LaunchError, NotFittedError, StoreError)
"""Errors that are nobody's typing: something that should work did not. All others say that what was given is wrong."""

app = typer.Typer(
    name="pointsman",
    help="Routes each query to the cheapest model, reasoning mode and thinking budget that gets it right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(initialising.init)
app.command()(serve.serve)
app.command()(asking.route)
app.command()(asking.ask)
app.command()(asking.feedback)
app.command()(checking.check)
app.command()(calibrating.calibrate)
app.command()(learning.retrain)
app.command()(evaluating.evaluate)
app.command()(learning.promote)
app.command()(learning.rollback)
app.command("config")(configuration.config)
app.command()(demonstration.demo)
app.add_typer(database.app, name="db")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"pointsman {__version__}")


def run() -> NoReturn:
    """The console entry point."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. An error is one message on standard error; POINTSMAN_DEBUG=1 lets it through."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _unread()
    except PointsmanError as error:
        if _debugging():
            raise
        typer.echo(f"pointsman: {error}", err=True)
        return 1 if isinstance(error, FAILURES) else 2
    except Exception as error:  # the last resort: a user gets a sentence, not a traceback
        if _debugging():
            raise
        typer.echo(f"pointsman: unexpected {type(error).__name__}: {error} (POINTSMAN_DEBUG=1 shows where)", err=True)
        return 1


def _invoke(arguments: Sequence[str]) -> int:
    try:
        app(args=list(arguments), prog_name="pointsman")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _unread() -> int:
    """Whoever read our output has left (`pointsman config | head -1`): say nothing, and let nothing be said at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _debugging() -> bool:
    return os.environ.get("POINTSMAN_DEBUG", "") not in ("", "0")
