"""From messages to token ids for a model in this process, with the text of users kept apart from control tokens.

A tokenizer turns `<|im_end|>` in a user's message into the control token of that name, which ends the user's turn. So
every character of the caller's text that could begin a control token is followed by a joint, a private character,
before the chat template sees it; what the template writes has none. A control token found across a joint is text: it
is cut there, and the parts are tokenised apart. Tokens without such text are exactly the tokenizer's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ..domain import Json
from ..errors import BackendRejected
from .templates import plain

JOINT = "\ue0f7"
_KNOWN_MARKS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
)


class Tokenizer(Protocol):
    """The part of transformers' tokenizers that is used."""

    eos_token_id: int | None
    chat_template: Any
    added_tokens_encoder: Mapping[str, int]

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str: ...

    def apply_chat_template(self, messages: Sequence[Json], **settings: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Marks:
    """The token ids that begin and end a thought."""

    open: int
    close: int


@dataclass(frozen=True, slots=True)
class Chat:
    """What a chat template is given: messages, tools, whether thinking is on, and further arguments of its own."""

    messages: tuple[Json, ...]
    thinking: bool = True
    tools: tuple[Json, ...] = ()
    arguments: Mapping[str, Any] | None = None


class ChatTemplate:
    """A tokenizer's chat template and its marks of thought.

    marks: None for a model that does not think. switchable: whether the template's text differs with thinking off.
    after_close: what the template writes between a closed thought and the answer."""

    def __init__(self, tokenizer: Tokenizer, *, backend: str) -> None:
        self._tokenizer = tokenizer
        self._backend = backend
        controls = [text for text in tokenizer.added_tokens_encoder if _is_control(text)]
        self._controls = re.compile("|".join(map(re.escape, sorted(controls, key=len, reverse=True))) or "(?!)")
        starts = "".join(sorted({text[0] for text in controls}))
        self._starts = re.compile(f"[{re.escape(starts)}]" if starts else "(?!)")
        text = str(tokenizer.chat_template or "")
        self.takes_tools = bool(re.search(r"\btools\b", text))
        self.marks: Marks | None = None
        self.switchable = False
        self.after_close = ""
        self._find_marks()

    def _find_marks(self) -> None:
        known = self._tokenizer.added_tokens_encoder
        if not self._tokenizer.chat_template:
            return
        hello: tuple[Json, ...] = ({"role": "user", "content": "x"},)
        thinking, plain = (self.render(Chat(hello, on)) for on in (True, False))
        text = str(self._tokenizer.chat_template)
        for start, end in _KNOWN_MARKS:
            if start in known and end in known and (thinking != plain or start in text or end in text):
                self.marks = Marks(known[start], known[end])
                self.switchable = thinking != plain
                self.after_close = plain.rpartition(end)[2] if end in plain else "\n\n"
                return

    def render(self, chat: Chat) -> str:
        """The text that the template makes. Raises BackendRejected where the template refuses the messages."""
        return self._render(chat).replace(JOINT, "")

    def encode_chat(self, chat: Chat) -> list[int]:
        """Token ids of the rendered chat; control tokens only where the template wrote them."""
        return self._encode(self._render(chat))

    def encode_text(self, text: str) -> list[int]:
        """Token ids of text that is not the template's: no control tokens."""
        return self._encode(self._guarded(text))

    def encode_rendered(self, text: str) -> list[int]:
        """Token ids of text that was rendered already: its control tokens count."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def is_open(self, ids: Sequence[int]) -> bool:
        """Whether a thought is open at the end of these ids."""
        if self.marks is None:
            return False
        last = next((token for token in reversed(ids) if token in (self.marks.open, self.marks.close)), None)
        return last == self.marks.open

    def _render(self, chat: Chat) -> str:
        if not self._tokenizer.chat_template:
            raise BackendRejected("The model has no chat template; send rendered text instead.", backend=self._backend)
        switch = {"enable_thinking": chat.thinking, "thinking": chat.thinking}
        messages = [self._guarded(plain(message, self._backend)) for message in chat.messages]
        settings = {**switch, **self._guarded(dict(chat.arguments or {}))}
        if chat.tools and self.takes_tools:
            settings["tools"] = [self._guarded(tool) for tool in chat.tools]
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **settings)
        except (TemplateError, TypeError) as error:  # TypeError: a template that adds a list to a text, and the like
            raise BackendRejected(f"The chat template refuses the messages: {error}", backend=self._backend) from error

    def _guarded(self, value: Any) -> Any:
        """The value with joints in all its text."""
        if isinstance(value, str):
            return self._starts.sub(lambda found: found[0] + JOINT, value)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[str, Any]", value).items()
            return {self._guarded(key): self._guarded(inner) for key, inner in pairs}
        if isinstance(value, list | tuple):
            return [self._guarded(inner) for inner in cast("Sequence[Any]", value)]
        return value

    def _encode(self, marked: str) -> list[int]:
        """Token ids of text with joints."""
        parts = marked.split(JOINT)
        text = "".join(parts)
        joints: set[int] = set()
        end = 0
        for part in parts[:-1]:
            end += len(part)
            joints.add(end)
        ids: list[int] = []
        start = at = 0
        while (found := self._controls.search(text, at)) is not None:
            cut = min((place for place in joints if found.start() < place < found.end()), default=None)
            at = found.end()
            if cut is not None:
                ids += self.encode_rendered(text[start:cut])
                start = at = cut
        return ids + self.encode_rendered(text[start:])


def _is_control(token: str) -> bool:
    """Whether text that spells this added token must not become it: words and white space are ordinary text."""
    return len(token) > 1 and not token[0].isalnum() and not token[0].isspace()
