"""Write docs/reference/*.md from the code: `python scripts/reference.py`; with --check, tell whether they are current.

configuration.md from the sections' pydantic models, families.md from the table of model families, hosted.md from
that of providers, commands.md from the command line's own help, http.md from the OpenAPI description.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pointsman.api.app import create_app
from pointsman.api.config import ServerConfig
from pointsman.backends import EnginesConfig, Family, ModelConfig, Timeouts, load_families
from pointsman.backends.hosted_fields import Spelling, spellings
from pointsman.backends.launch_config import LaunchConfig
from pointsman.domain import Sampling
from pointsman.router import Router, Settings
from pointsman.router.config import EscalateConfig, EvidenceConfig, ObjectiveConfig, PriceConfig, RouteConfig
from pointsman.store import StoreConfig

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py; do not edit. -->\n\n"
SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Settings", "the top level", Settings),
    ("models.NAME", "one model", ModelConfig),
    ("models.NAME.launch", "a server that Pointsman starts", LaunchConfig),
    ("models.NAME.timeouts", "how long a server may take", Timeouts),
    ("routes.NAME", "one way to answer", RouteConfig),
    ("routes.NAME.price", "what a route costs", PriceConfig),
    ("objective", "what the owner wants: exactly one of", ObjectiveConfig),
    ("evidence", "what is bought before committing", EvidenceConfig),
    ("escalate", "going on to a dearer route", EscalateConfig),
    ("engines", "limits that hold for every engine", EnginesConfig),
    ("store", "the memory", StoreConfig),
    ("server", "the HTTP server", ServerConfig),
)
_ROOMS = ("backends.config", "backends.launch_config", "router.config")
"""Where the sections are."""


def configuration() -> str:
    """Every setting: name, type, default, meaning."""
    parts = [
        NOTE + "# Configuration\n\nYAML, then the environment (`POINTSMAN_<NAME>`, with `__` between levels), then the "
        "command line; later wins. `pointsman config` prints the effective one and where each value came from.\n"
    ]
    for name, about, model in SECTIONS:
        rows = [
            f"\n## {name}\n\n{about[0].upper()}{about[1:]}.\n\n",
            "| setting | type | default | meaning |\n|---|---|---|---|\n",
        ]
        for field, info in model.model_fields.items():
            rows.append(
                f"| `{field}` | {_type(info.annotation)} | {_default(info)} | {_cell(info.description or '')} |\n"
            )
        parts.append("".join(rows))
    return "".join(parts)


def _type(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for noise in ("typing", "pathlib", "pointsman.domain", *(f"pointsman.{room}" for room in _ROOMS)):
        text = text.replace(f"{noise}.", "")
    return f"`{_cell(text)}`"


def _default(info: Any) -> str:
    if info.is_required():
        return "required"
    if info.default is PydanticUndefined:
        return "" if info.default_factory is None else "see its section"
    return f"`{info.default}`" if info.default is not None else "none"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def families() -> str:
    """Every shipped model family: what is known of it, and where that is said."""
    parts = [
        NOTE
        + "# Model families\n\nIn the order in which they are matched; empty: not known. What the columns mean and how "
        "to add a family: [model families](../families.md).\n\n"
        "| family | thinks, switched by | marks | opened by | empty thought | switching words | history | "
        "sampling: thinking | sampling: direct | source |\n|" + "---|" * 10 + "\n"
    ]
    parts += ["| " + " | ".join(_family(row)) + " |\n" for row in load_families()]
    return "".join(parts)


def _family(row: Family) -> tuple[str, ...]:
    words = "" if row.soft is None else " ".join(map(_code, row.soft)) or "none"
    return (
        row.name,
        _switch(row) if row.thinks else "no",
        " ".join(_code(mark) for mark in (row.open, row.close) if mark),
        row.opens or "",
        _code(row.empty) if row.empty else "",
        words,
        row.history or "",
        _drawn(row.advice.think),
        _drawn(row.advice.direct),
        _cell(row.source),
    )


def hosted() -> str:
    """Every row of the table of providers."""
    parts = [
        NOTE
        + "# Hosted models\n\nIn the order in which they are matched; the pattern is searched from the beginning of "
        "LiteLLM's name for the model. What the columns mean: [hosted models](../hosted.md). Of a model that no row "
        "matches nothing is claimed.\n\n| models | pattern | thinking | a budget is | thought comes back as | "
        "counted | prefill | not sent | goes back with tool calls | source |\n|" + "---|" * 10 + "\n"
    ]
    parts += ["| " + " | ".join(_hosted(row)) + " |\n" for row in spellings()]
    return "".join(parts)


def _hosted(row: Spelling) -> tuple[str, ...]:
    thinks = {True: f"always; least: {row.least}", False: "can be off"}[row.switch_off is None]
    budget = "a word: " + ", ".join(row.effort.words) if row.effort else "a wish in the prompt"
    if row.budget:
        budget = f"a number from {row.budget.min}" + (f" to {row.budget.max}" if row.budget.max else "")
    while_thinking = ", ".join(row.refuses_thinking)
    refused = [*row.refuses, *([f"thinking: {while_thinking}"] if while_thinking else [])]
    return (
        row.name,
        _code(row.match),
        thinks if row.thinks is not False else "never",
        budget if row.thinks is not False else "",
        row.shown if row.thinks is not False else "",
        "yes" if row.counted else "by pieces",
        row.prefill or "no",
        "; ".join(refused),
        row.loop or "",
        _cell(row.source),
    )


def _switch(row: Family) -> str:
    if row.switch in ("enable_thinking", "thinking"):
        return _code(row.switch)
    if row.switched_off is None:
        return row.switch
    arguments = [f"{name}: {value}" for name, value in row.switched_off.arguments.items()]
    return "off by " + " ".join(map(_code, (*arguments, *filter(None, [row.switched_off.system]))))


def _code(text: str) -> str:
    return "`" + text.replace("\n", "\\n").replace("|", "\\|") + "`"


def _drawn(sampling: Sampling) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in asdict(sampling).items() if value is not None)


def commands() -> str:
    """The command line's own help."""
    command = [sys.executable, "-m", "typer", "pointsman.api.cli.main", "utils", "docs", "--name", "pointsman"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return NOTE + done.stdout.strip() + "\n"


def http() -> str:
    """Every path of the HTTP interface: what it is for, what it takes, what it answers."""
    with tempfile.TemporaryDirectory() as home:
        router = Router.from_config(home=home)
        spec = create_app(router, ServerConfig()).openapi()
        router.close()
    parts = [NOTE + "# HTTP\n\nThe same, to try out, is at `/docs` of a running server.\n"]
    for path, methods in spec["paths"].items():
        for method, what in methods.items():
            parts.append(f"\n## {method.upper()} {path}\n\n{what.get('summary', '')}\n")
            if described := what.get("description"):
                parts.append(f"\n{described.strip()}\n")
            parts.append("\n| status | meaning |\n|---|---|\n")
            parts += [
                f"| {code} | {_cell(answer.get('description', ''))} |\n" for code, answer in what["responses"].items()
            ]
    return "".join(parts)


def main() -> None:
    made = {
        "configuration.md": configuration(),
        "families.md": families(),
        "hosted.md": hosted(),
        "commands.md": commands(),
        "http.md": http(),
    }
    if "--check" in sys.argv:
        stale = [name for name, text in made.items() if (REFERENCE / name).read_text() != text]
        sys.exit(f"out of date: {', '.join(stale)}; run python scripts/reference.py" if stale else 0)
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
