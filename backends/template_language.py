"""Chat templates compiled as transformers compiles them: Jinja in a sandbox, with its filters, functions and tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, cast

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import ConfigError


class Generation(Extension):
    """The tag round what the model has written, which only training needs: its text stays as it is."""

    tags = {"generation"}  # noqa: RUF012 as Jinja declares it

    def parse(self, parser: Parser) -> Node | list[Node]:
        """What stands between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def compiled(text: str, named: Mapping[str, str], field: str) -> Callable[..., str]:
    """The template as a function of its variables, `named` among them (special tokens). The function raises jinja2's
    TemplateError where the template refuses. field: the setting that it comes from. Raises ConfigError where it is no
    template."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(cast("Any", {"raise_exception": _refuse, "strftime_now": _now}))
    try:
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise ConfigError(f"is no chat template: {error}", field=field, where=f"line {error.lineno}") from error
    return partial(template.render, **named)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes what HTML would read; models were trained without that."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
