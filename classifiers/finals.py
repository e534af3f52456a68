"""Where a reply says what its answer is: its *final answer*.

Models rarely answer with the answer alone. What counts is, in this order: the last `\\boxed{…}`; the last
`<answer>…</answer>`; a number after `#### ` (as GSM8K marks it); what follows the last "answer:" or "answer is", plain
or in bold, on that line or alone on the next. All of it takes time linear in the text, whatever the text.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from .numerals import LONGEST, rational

LONG_WORDS = 8
"""From so many words on an answer is a text, never repeated word by word; a shorter one says it or does not."""
MARKS = 8
"""So many marks are looked at, from the last; a text full of them is no answer."""
LONGEST_BOX = 1000
"""Characters up to which the end of a box is looked for."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""Every character keeps its place, unlike with str.lower."""
_BRACES = re.compile(r"\\[{}]|[{}]")
_MARK = re.compile(
    r"(?<![^\W_])answer[*_]{0,3}[ \t]{0,3}(?:is(?!\w)(?:[ \t]{0,3}:[*_]{0,3})?|:[*_]{0,3})[ \t]*(?:\r?(\n)[ \t]*)?"
)
_STOP = re.compile(r"\.[*_]{0,3}\s")
_LIST = re.compile(r"(?:[-+*\u2022]|1[.)])\s")
_ABBREVIATIONS = frozenset({"st", "mt", "ft", "dr", "mr", "mrs", "ms", "prof", "gen", "col", "lt", "jr", "sr", "vs"})


def final_answer(text: str) -> str | None:
    """What the reply says its answer is, as it stands there; the whole text where nothing is marked and it is short.

    None where it is a text of `LONG_WORDS` words or more that marks no short answer. What stands in a box may be long:
    somebody meant it."""
    if (boxed := _boxed(text)) is not None:
        return boxed
    for given in _marked(text):
        said = _first_sentence(given)
        if is_short(said) and not _LIST.match(said) and said[-1] not in ":,":
            return said
    return text.strip() if is_short(text) else None


def marked(text: str) -> str | None:
    """What is marked as the answer last, to the end of its line, however long; None where nothing is."""
    boxed = _boxed(text)
    return boxed if boxed is not None else next(_marked(text), None)


def may_mark(text: str) -> bool:
    """Whether anything in a text of lower case could mark an answer."""
    return "answer" in text or "\\boxed{" in text or "####" in text


def is_short(text: str) -> bool:
    """Whether a text is a short answer: some words, less than `LONG_WORDS`, and at most `LONGEST` characters."""
    words = text.split(maxsplit=LONG_WORDS)
    return 0 < len(words) < LONG_WORDS and sum(map(len, words)) + len(words) - 1 <= LONGEST


def _boxed(text: str) -> str | None:
    """What stands in the last `\\boxed{…}`; None where there is none, it is empty or it does not end soon."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start, depth = start + len("\\boxed{"), 1
    for brace in _BRACES.finditer(text, start, start + LONGEST_BOX):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start : brace.start()].strip() or None
    return None


def _marked(text: str) -> Iterator[str]:
    """What is marked outside of boxes, likeliest first; never empty."""
    lower = text if text.islower() else text.translate(_LOWER)
    if (end := lower.rfind("</answer>")) >= 0 and (start := lower.rfind("<answer>", 0, end)) >= 0:
        content = text[start + len("<answer>") : end].strip()
        if content:
            yield content
    if (at := lower.rfind("####")) >= 0:
        content = _line(text, at + 4)
        if rational(content.strip("$. ")) is not None:
            yield content
    at, tried = len(lower), 0
    while tried < MARKS and (at := lower.rfind("answer", 0, at)) >= 0:
        mark = _MARK.match(lower, at)
        if mark is None:
            continue
        tried += 1
        content = _line(text, mark.end())
        if content and (mark[1] is None or _alone(text, mark.end())):
            yield content


def _line(text: str, start: int) -> str:
    """The rest of the line."""
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].strip()


def _alone(text: str, start: int) -> bool:
    """Whether nothing, or a blank line, follows this line: else it begins a list or a paragraph."""
    end = text.find("\n", start)
    return end < 0 or not _line(text, end + 1)


def _first_sentence(line: str) -> str:
    """Without what is explained behind it on the same line. A lone letter is an initial where the line is short."""
    for stop in _STOP.finditer(line, 0, LONGEST):
        head = line[: stop.start()].rstrip()
        word = head.rsplit(maxsplit=1)[-1].lstrip("*_$(`\"'").lower() if head else ""
        number = word[-1:].isdecimal()
        if not word or word in _ABBREVIATIONS or ("." in word and not number):
            continue
        if len(word) == 1 and word.isalpha() and is_short(line):
            continue
        return head if head != "1" else line
    return line
