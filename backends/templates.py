"""Prompts rendered and counted here, for a model whose server can do neither: its `template:` and `tokenizer:`.

The template is rendered as transformers does it (a sandbox, the same filters and functions), so that the text is what
the server makes of the same template. Whether it is the same is the owner's word, until `pointsman check` tries it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ..domain import Json
from ..errors import BackendRejected, ConfigError
from .config import ModelConfig
from .family_rows import Family
from .switching import arguments_of

_SETTINGS = "tokenizer_config.json"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


class Own:
    """What the configuration tells of a model's prompts; each part may be missing. Raises ConfigError where a file is
    none. name: the model's in the configuration."""

    def __init__(self, name: str, config: ModelConfig) -> None:
        self._name, self._template, self._tokenizer = name, None, config.tokenizer
        if config.template is not None:
            field = f"models.{name}.template"
            text = _template_text(config.template, field)
            places = (config.tokenizer, config.template) if config.tokenizer else (config.template,)
            named = _special_tokens(places)
            from .template_language import compiled

            self._template = compiled(text, named, field)
        if config.tokenizer is not None:
            _tokenizer_file(config.tokenizer, f"models.{name}.tokenizer")

    @property
    def renders(self) -> bool:
        """Whether there is a template."""
        return self._template is not None

    @property
    def counts(self) -> bool:
        """Whether there is a tokenizer."""
        return self._tokenizer is not None

    def render(self, messages: Sequence[Json], family: Family | None = None, *, thinking: bool) -> str:
        """The prompt of these messages with the generation prompt. Raises BackendRejected where the template refuses
        them."""
        from jinja2 import TemplateError

        assert self._template is not None
        shown = [plain(message, self._name) for message in messages]
        try:
            arguments = {"enable_thinking": thinking, "thinking": thinking, **arguments_of(family, thinking=thinking)}
            return self._template(messages=shown, add_generation_prompt=True, **arguments)
        except (TemplateError, TypeError) as error:  # TypeError: a template that adds a list to a text, and the like
            raise BackendRejected(f"the template refuses the messages: {error}", backend=self._name) from error

    def tokens(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """The token ids of a text. special: control tokens written in it count as such."""
        reader = self._reading if special else self._plain_reading
        return tuple(reader.encode(text, add_special_tokens=False).ids)

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return str(self._reading.decode(list(ids), skip_special_tokens=False))

    @cached_property
    def _reading(self) -> Any:
        from tokenizers import Tokenizer

        assert self._tokenizer is not None
        field = f"models.{self._name}.tokenizer"
        file = _tokenizer_file(self._tokenizer, field)
        try:
            return cast("Any", Tokenizer).from_file(str(file))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ConfigError(f"cannot be read: {error}", field=field, where=str(file)) from error

    @cached_property
    def _plain_reading(self) -> Any:
        """A second one, as what it makes of control tokens is part of its state."""
        first = self._reading
        reading = cast("Any", type(first)).from_str(first.to_str())
        reading.encode_special_tokens = True
        return reading


def plain(message: Json, backend: str) -> Json:
    """A message as chat templates want it: its text parts joined, its tool calls' arguments as objects. Raises
    BackendRejected for parts that are no text."""
    told = {key: value for key, value in message.items() if value is not None}
    if isinstance(content := message.get("content"), list):
        parts = cast("list[Json]", content)
        if other := next((str(part.get("type")) for part in parts if part.get("type") != "text"), None):
            raise BackendRejected(f"The model reads text only, not parts of type {other!r}.", backend=backend)
        told["content"] = "".join(str(part.get("text", "")) for part in parts)
    elif content is None:
        told["content"] = ""
    if calls := cast("list[Json] | None", message.get("tool_calls")):
        told["tool_calls"] = [_with_object(call) for call in calls]
    return told


def _with_object(call: Json) -> Json:
    """The tool call with its arguments as an object, where they are JSON text as OpenAI sends them."""
    function = cast("Json", call.get("function") or {})
    try:
        arguments = json.loads(function["arguments"])
    except (KeyError, TypeError, ValueError):
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _template_text(path: Path, field: str) -> str:
    """The template. path: a Jinja file, a tokenizer_config.json, or a model's folder."""
    jinja = path / "chat_template.jinja"
    file = path if not path.is_dir() else jinja if jinja.is_file() else path / _SETTINGS
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", field=field, where=str(file)) from error
    if file.suffix == ".json":
        found = _object(text, field, file).get("chat_template")
        if isinstance(found, list):  # several, by name
            named = {str(one.get("name")): one.get("template") for one in cast("list[Json]", found)}
            found = named.get("default")
        if not isinstance(found, str):
            raise ConfigError("holds no chat template", field=field, where=str(file))
        text = found
    return text


def _tokenizer_file(path: Path, field: str) -> Path:
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            "there is no such file: it must be a tokenizer.json, or its folder", field=field, where=str(file)
        )
    return file


def _special_tokens(places: Sequence[Path]) -> dict[str, str]:
    """The special tokens that templates write by name, as far as a tokenizer_config.json in one of the places tells."""
    for place in places:
        file = (place if place.is_dir() else place.parent) / _SETTINGS
        if file.is_file():
            settings = _object(file.read_text(encoding="utf-8"), "template", file)
            told = {name: settings.get(name) for name in _SPECIAL}
            texts = {
                name: cast("Json", value).get("content") if isinstance(value, dict) else value
                for name, value in told.items()
            }
            return {name: str(text) for name, text in texts.items() if text}
    return {}


def _object(text: str, field: str, file: Path) -> Json:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"is not JSON: {error}", field=field, where=str(file)) from error
    return cast("Json", found) if isinstance(found, dict) else {}
