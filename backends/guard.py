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

_KEPT = frozenset(("role", "type", "image_url", "input_audio", "file"))
"""Fields of a message whose text no template writes as text."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


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
            stop=tuple(dict.fromkeys((*call.stop, *map(breaker.text, call.stop)))),  # as the model copies it, too
            extra={key: breaker.value(value) if key in _WRITTEN else value for key, value in call.extra.items()},
        )
        return Guarded(made, joint, ("control tokens or switches spelled in the messages were broken up",))


_WRITTEN = ("documents",)
"""Further fields of a request that templates write."""
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
        return {key: inner if key in _KEPT else self._field(message, key, inner) for key, inner in message.items()}

    def _field(self, message: Json, key: str, inner: Any) -> Any:
        """One field of a message, each in the way that templates write it."""
        if key == "content" and isinstance(inner, list):
            return self._parts(cast("list[Any]", inner))
        if key == "content" and isinstance(inner, str) and message.get("role") == "assistant":
            return self._answer(inner)
        if key == "tool_calls" and isinstance(inner, list):
            return [self._tool_call(one) for one in cast("list[Any]", inner)]
        return self.value(inner)

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
                kept = [{**one, "text": text} for one, text in zip(row, broken, strict=False)]
                made += kept if is_text else [self._part(one) for one in row]
        return made

    def _part(self, part: Any) -> Any:
        """A part that has no text of its own: a refusal, a thought, an image."""
        if not isinstance(part, dict):
            return self.value(part)
        fields = cast("Json", part)
        return {key: inner if key in _KEPT else self.value(inner) for key, inner in fields.items()}

    def _tool_call(self, call: Any) -> Any:
        """Templates read the arguments' JSON, so they are broken as what it says, not as it is written."""
        made: Any = self._part(call)
        told = _object(_object(call).get("function"))
        if isinstance(arguments := told.get("arguments"), str):
            made["function"]["arguments"] = self.text(_STRING.sub(self._literal, arguments))
        return made

    def _literal(self, found: re.Match[str]) -> str:
        """A string of JSON text; it stays as it is written where there is nothing to break in it."""
        try:
            said = json.loads(found[0])
        except ValueError:
            return found[0]
        broken = self.text(said)
        return found[0] if broken == said else json.dumps(broken, ensure_ascii=not _encodable(broken))

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


def _encodable(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which JSON alone can write."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _object(value: Any) -> Json:
    """A value that should be an object; an empty one where it is none."""
    return cast("Json", value) if isinstance(value, dict) else {}


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
            texts = map(_text_of, cast("list[Any]", content))
            yield "".join(" " if text is None else text for text in texts)
        yield from _escaped(cast("object", message.get("tool_calls")))
    yield from _strings([*call.tools, call.tool_choice, call.thought_prefix, call.answer_prefix])
    yield from _strings([value for key, value in call.extra.items() if key in _WRITTEN])


def _escaped(calls: object) -> Iterator[str]:
    """What the arguments of tool calls say where they are written with escapes."""
    for one in cast("list[Any]", calls) if isinstance(calls, list) else ():
        arguments = _object(_object(one).get("function")).get("arguments")
        if isinstance(arguments, str) and "\\" in arguments:
            for found in _STRING.findall(arguments):
                with suppress(ValueError):
                    yield json.loads(found)


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
