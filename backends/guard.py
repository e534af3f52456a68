"""The user's text cannot change the mode: what switches a model is broken up on its way in and restored on its way out.

`</think>` in a message reaches the model with an invisible character, the joint, after its first, which it reads and
copies as it does the rest. The joint is one that the call's texts do not have, so it is taken out of all of the reply
(restoring.py), and a copy comes back byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, cast

from ..domain import Call, Json
from ..errors import BadRequest
from .family_rows import Family
from .markers import Markers
from .spellings import JOINTS, PRIVATE, doubtful, switches, words

_KEPT = frozenset(("role", "type", "id", "tool_call_id", "image_url", "input_audio", "file"))
"""Fields of a message whose text no template writes as text."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The call to make; `joint`: what was put into its texts, and has to be taken out of its reply; empty where nothing
    was; warnings for the caller."""

    call: Call
    joint: str = ""
    warnings: tuple[str, ...] = ()


class Guard:
    """Breaks up what switches a model of this family (None: not known, so what switches any), with these markers.
    words_only: the words that switch it, and no more: its control tokens are kept apart otherwise."""

    def __init__(self, family: Family | None, markers: Markers, *, words_only: bool = False) -> None:
        self._family = family
        start, end = re.escape(markers.start.strip()), re.escape(markers.end)
        self._inline = re.compile(rf"(\s*{start})(.*?)({end})", re.DOTALL)
        self._found: set[str] = set()
        self._cleared: set[str] = set()
        self._pattern = words(family) if words_only else switches(family)

    def unsure(self, call: Call) -> set[str]:
        """Parts of the call's texts that may be control tokens, as far as nobody has told yet (`learnt`)."""
        spans = {span for text in _texts(call) for span in doubtful(text)}
        return {span for span in spans - self._cleared if not self._pattern.fullmatch(span)}

    def learnt(self, span: str, *, control: bool) -> None:
        """What the model's tokenizer says of a doubtful part."""
        if not control:
            if len(self._cleared) >= _REMEMBERED:
                self._cleared.clear()
            self._cleared.add(span)
            return
        self._found.add(span)
        self._pattern = switches(self._family, self._found)

    def guarded(self, call: Call) -> Guarded:
        """The call with what would switch the model broken up, in everything but what was rendered already."""
        if call.rendered is not None or not any(self._pattern.search(text) for text in _texts(call)):
            return Guarded(call)
        joint = _joint(call)
        breaker = _Breaker(self._pattern, self._inline, joint)
        made = replace(
            call,
            messages=tuple(breaker.message(one) for one in call.messages),
            tools=tuple(breaker.value(one) for one in call.tools),
            tool_choice=breaker.value(call.tool_choice),
            thought_prefix=breaker.text(call.thought_prefix),
            answer_prefix=breaker.text(call.answer_prefix),
        )
        return Guarded(made, joint, ("control tokens or switches spelled in the messages were broken up",))


_REMEMBERED = 4096
"""The most doubtful parts that are kept in mind as harmless."""


class _Breaker:
    """One call's texts, broken by one joint."""

    def __init__(self, pattern: re.Pattern[str], inline: re.Pattern[str], joint: str) -> None:
        self._pattern, self._inline, self._joint = pattern, inline, joint

    def text(self, text: str) -> str:
        while (whole := self._pattern.sub(self._one, text)) != text:  # what is left may spell another
            text = whole
        return text

    def value(self, value: Any) -> Any:
        """The same for every text in JSON, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[str, Any]", value).items()
            return {self.text(key): self.value(inner) for key, inner in pairs}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in cast("list[Any]", value)]
        return value

    def message(self, message: Json) -> Json:
        made = {key: inner if key in _KEPT else self.value(inner) for key, inner in message.items()}
        content = cast("object", message.get("content"))
        if isinstance(content, list):
            made["content"] = self._parts(cast("list[Any]", content))
        elif isinstance(content, str) and message.get("role") == "assistant":
            made["content"] = self._answer(content)
        if isinstance(calls := cast("object", message.get("tool_calls")), list):
            made["tool_calls"] = [self._tool_call(one) for one in cast("list[Any]", calls)]
        return made

    def _answer(self, content: str) -> str:
        """An old answer keeps the thought that it begins with, in its markers: templates know to take it out."""
        inline = self._inline.match(content)
        if inline is None:
            return self.text(content)
        before, thought, end = inline[1], inline[2], inline[3]
        return before + self.text(thought) + end + self.text(content[inline.end() :])

    def _parts(self, parts: list[Any]) -> list[Any]:
        """Parts of text next to each other are written next to each other, so what they spell together counts."""
        made: list[Any] = []
        for is_text, run in groupby(parts, lambda part: _text_of(part) is not None):
            row = list(run)
            texts = [str(one["text"]) for one in row] if is_text else []
            broken = [self.text(text) for text in texts]
            if (whole := self.text("".join(texts))) != "".join(broken):
                made.append({**row[0], "text": whole})
            else:
                made += [{**one, "text": text} for one, text in zip(row, broken, strict=True)] if is_text else row
        return made

    def _tool_call(self, call: Any) -> Any:
        """Templates read the arguments' JSON, so they are broken as what it says, not as it is written."""
        function: Json = call.get("function") or {}
        arguments = function.get("arguments")
        made = {**call, "function": self.value(function)}
        if isinstance(arguments, str):
            try:
                said = json.loads(arguments)
            except ValueError:
                return made
            broken = self.value(said)
            written = arguments if broken == said else json.dumps(broken, ensure_ascii=False)
            made["function"]["arguments"] = self.text(written)
        return made

    def _one(self, found: re.Match[str]) -> str:
        return found[0][0] + self._joint + found[0][1:]


def _joint(call: Call) -> str:
    """A character that none of the call's texts has, escaped or not: an invisible one if possible, else a private one.
    Raises BadRequest where the texts have them all."""
    had: set[str] = set()
    for text in _texts(call):
        had.update(text)
        had.update(chr(int(code, 16)) for code in _ESCAPE.findall(text))
    for joint in chain(JOINTS, map(chr, PRIVATE)):
        if joint not in had:
            return joint
    raise BadRequest("The messages hold every character of Unicode's private use area.", field="messages")


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def _text_of(part: Any) -> str | None:
    if not isinstance(part, dict):
        return None
    text = cast("Json", part).get("text")
    return text if isinstance(text, str) else None


def _texts(call: Call) -> Iterator[str]:
    """Every text of the call that a template may write, and what texts next to each other make together."""
    for message in call.messages:
        yield from _strings({key: inner for key, inner in message.items() if key not in _KEPT})
        content = cast("object", message.get("content"))
        if isinstance(content, list):
            yield "".join(_text_of(part) or " " for part in cast("list[Any]", content))
        for one in cast("list[Json]", message.get("tool_calls") or ()):
            arguments = cast("Json", one.get("function") or {}).get("arguments")
            if isinstance(arguments, str) and "\\" in arguments:
                with suppress(ValueError):
                    yield from _strings(json.loads(arguments))
    yield from _strings([*call.tools, call.tool_choice, call.thought_prefix, call.answer_prefix])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            yield from _strings(inner)
