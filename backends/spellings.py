"""What switches a model from inside its text: control tokens, markers of thought, words such as `/no_think`.

Tokenizers turn a control token's spelling into the token wherever it stands, templates look for switching words in
messages and cut old answers at a quoted `</think>`. What a family reads is in `families.yaml`; the control tokens that
the published vocabularies of many families have are listed here by their forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .families import families
from .family_rows import Family

_DOUBTFUL = re.compile(r"<[^\s<>]{1,64}>|<\||\|>|\[/?[A-Z_]{3,}\]|<\uff5c")
JOINTS = "\u2060\u2061\u2062\u2063\u2064"
"""Invisible characters, each of which breaks up a spelling."""
PRIVATE = range(0xE000, 0xF900)
"""Unicode's private use area, for texts that have all of those."""

_NAME = rf"[^<>\[\]|\uff5c\s{JOINTS}\ue000-\uf8ff]{{1,64}}"
_FORMS = (
    rf"<\|{_NAME}\|?>|<{_NAME}\|>",  # <|im_end|>, Gemma 4's <|channel> and <channel|>
    rf"<\uff5c{_NAME}\uff5c>",  # DeepSeek's full-width bars
    rf"\[\|{_NAME}\|\]",  # EXAONE's [|endofturn|]
    r"\[/?(?:INST|THINK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|PREFIX|SUFFIX"
    r"|MIDDLE|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO)\]",  # Mistral
    r"\[gMASK\]|<sop>|<eop>",  # GLM
    r"\]~!?b[\[\]]|\[e~\[",  # MiniMax
    r"<</?SYS>>|</?(?:s|bos|eos|pad|unk|mask)>",
    r"<(?:start|end)_of_[a-z]{1,32}>",  # Gemma
    r"</?(?:[a-z]{1,16}:)?(?:think|thinking|tool_calls?|tool_response|tools|arg_key|arg_value)>",
    r"<seed:[a-z_]{1,32}>|</seed:[a-z_]{1,32}>",
)


def doubtful(text: str) -> set[str]:
    """The parts of a text that may spell a control token of some model, which only its tokenizer can tell."""
    return set(_DOUBTFUL.findall(text))


def suspect(text: str) -> bool:
    """Whether a text may spell control tokens of some model."""
    return _DOUBTFUL.search(text) is not None


def words(family: Family | None) -> re.Pattern[str]:
    """The words that switch a model of this family (None: not known, so the words of all), in any case of letters."""
    rows = families() if family is None else (family,)
    literal = sorted({word for row in rows for word in row.soft or ()}, key=lambda one: (-len(one), one))
    return re.compile("|".join(map(re.escape, literal)) or "(?!)", re.IGNORECASE)


def switches(family: Family | None, also: Iterable[str] = ()) -> re.Pattern[str]:
    """What to break up in text for a model of this family: its words, its markers, control tokens; also: further
    spellings, as they are."""
    rows = families() if family is None else (family,)
    marks = {mark.strip() for row in rows for mark in (row.open, row.close) if mark}
    literal = sorted({*marks, *also}, key=lambda one: (-len(one), one))
    parts = [words(family).pattern, *map(re.escape, literal), *_FORMS]
    return re.compile("|".join(parts), re.IGNORECASE)
