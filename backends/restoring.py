"""The joints that broke up a call's texts (guard.py), taken out of its reply again, however that is cut into pieces."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from .engine import Continuation, Event, Finished, Text, Thought, TokenLogprob, ToolCallDelta


class Restorer:
    """Takes a joint out of a text that comes in pieces; as_json: the text is JSON, which may write it as an escape."""

    def __init__(self, joint: str, *, as_json: bool = False) -> None:
        self.joint = joint
        self._as_json = as_json
        self._escape = re.compile(rf"(?<!\\)((?:\\\\)*)\\u{ord(joint):04x}", re.IGNORECASE)
        self._rest = ""

    def feed(self, text: str) -> str:
        """What is certain now."""
        if not self._as_json:
            return text.replace(self.joint, "")
        text = self._rest + text
        begun = _BEGUN.search(text)
        self._rest = text[begun.start() :] if begun else ""
        return self._whole(text[: len(text) - len(self._rest)])

    def flush(self) -> str:
        """What was held back, as there is no more."""
        rest, self._rest = self._rest, ""
        return self._whole(rest)

    def _whole(self, text: str) -> str:
        return self._escape.sub(r"\1", text.replace(self.joint, ""))


_BEGUN = re.compile(r"(?<!\\)\\+(?:u[0-9a-fA-F]{0,3})?$")
"""The end of a text that may become an escape."""


class _Part:
    """The thought or the answer of a reply: its text, and what waits to be told with it."""

    def __init__(self, restorer: Restorer, kind: type[Thought] | type[Text]) -> None:
        self._text, self._kind, self._joint = restorer, kind, restorer.joint
        self._tokens = 0
        self._logprobs: tuple[TokenLogprob, ...] = ()

    def feed(self, event: Thought | Text) -> list[Event]:
        self._tokens += event.tokens
        self._logprobs += tuple(_plain(one, self._joint) for one in event.logprobs)
        return self._told(self._text.feed(event.text))

    def flush(self) -> list[Event]:
        return self._told(self._text.flush())

    def _told(self, text: str) -> list[Event]:
        if not text:
            return []
        told = self._kind(text, self._tokens, self._logprobs)
        self._tokens, self._logprobs = 0, ()
        return [told]


async def restored(
    events: AsyncGenerator[Event, None], joint: str, *, as_json: bool = False
) -> AsyncGenerator[Event, None]:
    """The events without the joint, in thought, answer and tool calls; as_json: the answer is JSON. Tokens are told
    with the text that they end up in."""
    thought, answer = _Part(Restorer(joint), Thought), _Part(Restorer(joint, as_json=as_json), Text)
    calls: dict[int, Restorer] = {}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Thought):
                told = thought.feed(event)
            elif isinstance(event, Text):
                told = answer.feed(event)
            elif isinstance(event, ToolCallDelta):
                arguments = calls.setdefault(event.index, Restorer(joint, as_json=True)).feed(event.arguments)
                told = [*answer.flush()]
                if arguments or not event.arguments or event.id or event.name:  # else all of it waits
                    told.append(replace(event, name=event.name and event.name.replace(joint, ""), arguments=arguments))
            else:
                ends = [ToolCallDelta(index, arguments=rest) for index, one in calls.items() if (rest := one.flush())]
                told = [*answer.flush(), *ends, _finished(event, joint)]
            for one in told:
                yield one


def _plain(logprob: TokenLogprob, joint: str) -> TokenLogprob:
    """The same of a token without the joint."""
    top = tuple((token.replace(joint, ""), value) for token, value in logprob.top)
    return TokenLogprob(logprob.token.replace(joint, ""), logprob.logprob, top)


def _finished(event: Finished, joint: str) -> Finished:
    if (kept := event.continuation) is None:
        return event
    return replace(event, continuation=Continuation(kept.thought.replace(joint, ""), kept.ended))
