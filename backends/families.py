"""What a model's name and chat template tell: its parameters, whether it thinks, whether that can be turned off.

Families are data (`families.yaml`, after each family's published template; the owner's `families:` go before). Where
neither name nor template says anything, the answer is None: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .family_rows import Family, read_families
from .markers import USUAL, Markers
from .rows import Where, read_rows

_FILE = Path(__file__).with_name("families.yaml")
_EXPERTS = re.compile(r"(?<![a-z0-9.])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])")
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_SIZE = re.compile(r"(?<![a-z0-9.])e?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_UNITS = {"b": 1.0, "m": 1e-3}

# Marks of thought that templates write, and the template arguments that turn it off: as variables (a preceding dot
# makes it a message's field, as in gpt-oss's `message.thinking`) inside Jinja's brackets, string constants apart.
_MARKS = re.compile(r"</?(?:think|seed:think|mm:think)>|\[/?THINK\]|<\|channel\|?>")
_CODE = re.compile(r"\{[%{](.*?)[%}]\}", re.DOTALL)
_CONSTANT = re.compile(r"'[^']*'|\"[^\"]*\"")
_SWITCHES = tuple(re.compile(rf"(\bset\s+)?(?<![\w.]){name}\b") for name in ("enable_thinking", "thinking"))


@dataclass(frozen=True, slots=True)
class Thinking:
    """Whether a model thinks and whether that can be turned off; None where nothing says."""

    thinks: bool | None = None
    switchable: bool | None = None


def _unplaced(_family: str, _field: str | None) -> str:
    return "families"


@cache
def families() -> tuple[Family, ...]:
    """The shipped families, in order."""
    rows, where = read_rows(_FILE.read_text(encoding="utf-8"), _FILE.name, "families")
    return tuple(read_families(rows, where).values())


def load_families(extra: Mapping[str, Any] | None = None, where: Where = _unplaced) -> tuple[Family, ...]:
    """The owner's families, then the shipped ones, so that the owner's word wins; one of a shipped family's name
    replaces that.

    extra: rows by name as `families.yaml` has them, already parsed; `where` tells errors their place. Raises
    ConfigError naming row and field."""
    added = read_families(extra or {}, where)
    return (*added.values(), *(row for row in families() if row.name not in added))


def family_of(names: Iterable[str], table: Sequence[Family] | None = None) -> Family | None:
    """The family of the model that goes by these names: the first name that one of the table (None: the shipped) has
    decides, and its first row. Case and folders before a name do not matter. None where nothing is known."""
    rows = families() if table is None else table
    shorts = map(_short, names)
    return next((row for short in shorts for row in rows if row.has(short)), None)


def markers_of(family: Family | None, template: str | None = None, table: Sequence[Family] | None = None) -> Markers:
    """The markers of a model's thoughts: its family's; else those of any family that its template writes; else the
    usual ones."""
    rows = families() if table is None else table
    text = template or ""
    shown = (row for row in rows if row.open and row.close and row.open in text and row.close in text)
    row = family if family is not None and family.close else next(shown, None)
    return USUAL if row is None or row.open is None or row.close is None else Markers(row.open, row.close)


def parameters_from_name(name: str) -> float | None:
    """Parameters at work per token, in billions, as far as the name alone says: `Qwen3-8B` 8, `30B-A3B` 3 (active),
    `smollm2:135m` 0.135, `gemma-3n-E4B` 4; `8x7B` 14 (two experts at a time). None where it says nothing.

    Quantisation (`4bit`, `fp8`), versions and contexts (`128k`, a `1M` beside a size in B) are not sizes."""
    for part in (_short(name).lower(), name.lower()):
        if (active := _largest_unit(_ACTIVE.findall(part))) is not None:
            return active
        if experts := _EXPERTS.search(part):
            return 2 * float(experts[2])
        if (size := _largest_unit(_SIZE.findall(part))) is not None:
            return size
    return None


def weights_from_name(name: str) -> float | None:
    """Parameters that have to be read to load a model, in billions, as far as its name says: `30B-A3B` 30,
    `8x7B` 56."""
    for part in (_short(name).lower(), name.lower()):
        if experts := _EXPERTS.search(part):
            return float(experts[1]) * float(experts[2])
        if (size := _largest_unit(_SIZE.findall(part))) is not None:
            return size
    return None


def parameters(
    names: Iterable[str], counted: float | None = None, table: Sequence[Family] | None = None
) -> float | None:
    """Parameters at work per token, in billions, from all that is known of one model: its names (alias, file,
    repository) and the server's count. A count is of all experts, so a name that tells the active ones wins."""
    names = tuple(names)
    for name in names:
        if (row := family_of((name,), table)) is not None and row.active is not None:
            return row.active
    said = tuple(value for value in map(parameters_from_name, names) if value is not None)
    if counted is None:
        return said[0] if said else None
    sparse = (value for name, value in zip(names, map(parameters_from_name, names), strict=True) if _is_sparse(name))
    return next((value for value in sparse if value is not None), counted)


def thinking_of(names: Iterable[str], template: str | None = None, table: Sequence[Family] | None = None) -> Thinking:
    """Whether a model thinks and can be told not to, from its names and, where the server shows it, its template.

    The template goes before the family, but for two things that it cannot tell: that a family reads the argument and
    ignores it, and that marks of thought are there only to cut old thoughts out of the history."""
    row = family_of(names, table)
    family = Thinking() if row is None else Thinking(row.thinks, row.switchable)
    if template is None:
        return family
    shown = thinking_from_template(template)
    if shown.thinks and row is not None and not (shown.switchable and family.switchable):
        return family
    return shown


def thinking_from_template(template: str) -> Thinking:
    """What a chat template (Jinja) says. One that neither writes marks of thought nor reads a switch belongs to a
    model that does not think. A variable that the template sets before it reads it is no switch (Nemotron Super)."""
    code = _CONSTANT.sub("", " ".join(_CODE.findall(template)))
    first = (switch.search(code) for switch in _SWITCHES)
    if any(found is not None and not found[1] for found in first):
        return Thinking(thinks=True, switchable=True)
    if _MARKS.search(template):
        return Thinking(thinks=True, switchable=False)
    return Thinking(thinks=False, switchable=None)


def _short(name: str) -> str:
    """The name without folders or owner: `hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M` -> `Qwen3-8B-GGUF:Q4_K_M`."""
    return name.rstrip("/").rsplit("/", 1)[-1]


def _is_sparse(name: str) -> bool:
    lowered = name.lower()
    return bool(_ACTIVE.search(lowered) or _EXPERTS.search(lowered))


def _largest_unit(found: list[tuple[str, str]]) -> float | None:
    """The first size in billions, or, where there is none, the first in millions: `14B-1M` has a context of 1M."""
    for unit in ("b", "m"):
        for number, its in found:
            if its == unit:
                return float(number) * _UNITS[unit]
    return None
