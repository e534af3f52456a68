"""What a model's name and chat template tell: its parameters, whether it thinks, whether that can be turned off.

Families are data (`families.yaml`, after each family's published template). Where neither name nor template says
anything, the answer is None: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import yaml

from ..domain import Json

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
class Family:
    """A row of `families.yaml`. active: parameters at work per token, in billions."""

    family: str
    match: str
    thinks: bool
    switch: str
    active: float | None = None

    @property
    def switchable(self) -> bool | None:
        """Whether thinking can be turned off by a template argument; None where there is none to turn off."""
        return self.switch in ("enable_thinking", "thinking") if self.thinks else None


@dataclass(frozen=True, slots=True)
class Thinking:
    """Whether a model thinks and whether that can be turned off; None where nothing says."""

    thinks: bool | None = None
    switchable: bool | None = None


@cache
def families() -> tuple[Family, ...]:
    """The rows of `families.yaml`, in order."""
    text = Path(__file__).with_name("families.yaml").read_text(encoding="utf-8")
    return tuple(Family(**row) for row in cast("list[Json]", yaml.safe_load(text)))


def family_of(name: str) -> Family | None:
    """The first family that the name belongs to, or None. Case and folders before the name do not matter."""
    lowered = _short(name).lower()
    return next((row for row in families() if re.search(row.match, lowered)), None)


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


def parameters(names: Iterable[str], counted: float | None = None) -> float | None:
    """Parameters at work per token, in billions, from all that is known of one model: its names (alias, file,
    repository) and the server's count. A count is of all experts, so a name that tells the active ones wins."""
    names = tuple(names)
    for name in names:
        if (row := family_of(name)) is not None and row.active is not None:
            return row.active
    said = tuple(value for value in map(parameters_from_name, names) if value is not None)
    if counted is None:
        return said[0] if said else None
    sparse = (value for name, value in zip(names, map(parameters_from_name, names), strict=True) if _is_sparse(name))
    return next((value for value in sparse if value is not None), counted)


def thinking_of(names: Iterable[str], template: str | None = None) -> Thinking:
    """Whether a model thinks and can be told not to, from its names and, where the server shows it, its template.

    The template goes before the family, but for two things that it cannot tell: that a family reads the argument and
    ignores it, and that marks of thought are there only to cut old thoughts out of the history."""
    row = next((row for row in map(family_of, names) if row is not None), None)
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
