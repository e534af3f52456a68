"""What a check found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .files import write_json
from .reports import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...router.jobs.conformance.findings import Finding
    from ...router.jobs.conformance.run import Checked, Ruled

TITLES = {
    "off": "off is off",
    "budget": "budgets are kept",
    "answer": "answers are never empty",
    "parallel": "8 at once",
    "thought": "thought comes apart",
    "counts": "token counts",
    "prefill": "goes on with a beginning",
    "tools": "tools",
    "schema": "JSON schema",
    "logprobs": "log-probabilities",
    "streaming": "streaming",
    "cancelling": "cancelling",
    "name": "the model's name",
}
"""What a finding is about, in words."""

_STYLES = {"kept": "green", "broken": "bold red", "not shown": "yellow"}


def show(checked: Sequence[Checked]) -> Iterator[RenderableType]:
    """The report, model by model, and what it comes to."""
    for one in checked:
        yield from _model(one)
    broken = [ruled.route.name for one in checked for ruled in one.routes if _ruling(ruled.finding) == "broken"]
    if broken:
        yield f"[bold red]Broken:[/bold red] {_plain(', '.join(broken))}: the name does not tell the truth."
    elif any(one.broken for one in checked):
        yield "[bold red]Broken:[/bold red] a promise above, though not one of these routes' own."
    elif any(one.skipped is None for one in checked):
        yield "No promise is broken."


def write(name: str, checked: Sequence[Checked]) -> None:
    """The same as JSON, to a file or (`-`) to standard output. Raises DataError."""
    import orjson

    body = {"broken": any(one.broken for one in checked), "models": [one.body() for one in checked]}
    if name == "-":
        typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    else:
        write_json(Path(name), body)


def _model(one: Checked) -> Iterator[RenderableType]:
    if one.skipped is not None:
        yield f"[bold]{_plain(one.model)}[/bold] {_plain(one.skipped)}\n"
        return
    engine = f" on {one.identity.engine} {one.identity.version}".rstrip() if one.identity else ""
    title = f"{one.model}{engine}: {one.calls} calls, {one.seconds:.1f} s"
    rows = [
        (_plain(ruled.route.name), _budget(ruled), _way(ruled), _verdict(ruled.finding), _plain(ruled.finding.sentence))
        for ruled in one.routes
    ]
    columns = ("route", "thinking budget", "enforced", "verdict", "what was seen")
    yield table(_plain(title), columns, rows, words=(0, 1, 2, 3, 4))
    rest = [
        (TITLES.get(finding.about, finding.about), _verdict(finding), _plain(finding.sentence))
        for finding in one.findings
    ]
    yield table("", ("the model", "verdict", "what was seen"), rest, words=(0, 1, 2))


def _budget(ruled: Ruled) -> str:
    budget = ruled.route.thinking_budget
    return {0: "off", None: "unlimited"}.get(budget) or f"{budget:,}"


def _way(ruled: Ruled) -> str:
    return "-" if ruled.route.thinking_budget is None else ruled.enforced.value


def _verdict(finding: Finding) -> str:
    word = _ruling(finding)
    style = _STYLES.get(word)
    return f"[{style}]{word}[/{style}]" if style else word


def _ruling(finding: Finding) -> str:
    return finding.ruling.value


def _plain(text: str) -> str:
    """The text with what rich would read as markup escaped."""
    from rich.markup import escape

    return escape(text)
