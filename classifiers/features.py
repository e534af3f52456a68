"""What the text of a query shows without a model: named lexical features, and which text of a query is looked at.

All features are counts on a log scale, shares in [0, 1], or flags; so they are finite and bounded for any text. The
work is bounded too: of a long text only its head and tail are read (its length is still known).

The chain features exist because bare arithmetic (`3+4*2-7`) is where length alone decides which route is right: the
number of operators enters linearly, with three hinges, and only where the text is nothing but a chain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import log1p
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..domain import Json, Query

Floats: TypeAlias = NDArray[np.float32]

HEAD, TAIL = 3072, 1024
"""Characters that are read of a long text's beginning and end."""

SHORT_CHARACTERS = 48
"""A last message shorter than this ("and for 12?") is read together with what came before it."""

EARLIER_CHARACTERS = 512
"""So much of the earlier turns is put before a short last message."""

FEATURES: tuple[str, ...] = (
    "log_characters",
    "log_words",
    "word_length",
    "distinct_words",
    "log_lines",
    "log_sentences",
    "digits",
    "log_numbers",
    "log_longest_number",
    "log_operators",
    "log_longest_chain",
    "chain_only",
    "chain_length",
    "chain_over_2",
    "chain_over_4",
    "chain_over_6",
    "log_brackets",
    "log_code_marks",
    "log_formula_marks",
    "log_options",
    "log_questions",
    "capitals",
    "not_ascii",
    "log_quotes",
    "log_fact_words",
    "log_why_words",
    "log_calculation_words",
    "log_writing_words",
    "log_negations",
    "log_comparisons",
    "log_conditions",
    "short_answer",
    "structured_answer",
    "log_code_words",
)
"""Names of what `lexical` returns, in its order. An artifact remembers them and refuses another list."""

_WORD_LISTS: dict[str, str] = {
    "fact": "what which who whom whose when where name capital year date define meaning",
    "why": "why how explain because reason reasons reasoning step steps think prove show derive justify therefore",
    "calculation": "calculate compute solve evaluate simplify sum product remainder modulo mod digit integer percent "
    "equation total average ratio probability many much number plus minus times divided",
    "writing": "write summarize summarise translate rewrite draft compose describe story poem essay email letter list "
    "suggest create generate improve",
    "negation": "not no never none neither nor except without cannot least false incorrect",
    "comparison": "most best more less than greater larger smaller highest lowest likely better worst compare",
    "condition": "if then else unless suppose assume given when while each every all until before after",
    "short": "only just exactly briefly single yes",
    "structured": "json yaml xml csv table markdown bullet bullets schema format html",
    "code": "def class import return function select from public void int static const var let print elif lambda "
    "struct include code python java javascript sql bash algorithm",
}
_LISTS = tuple(_WORD_LISTS)
_LIST_OF: dict[str, tuple[int, ...]] = {
    word: tuple(place for place, name in enumerate(_LISTS) if word in _WORD_LISTS[name].split())
    for words in _WORD_LISTS.values()
    for word in words.split()
}

# Possessive quantifiers and the look-behind keep every search linear: no text makes them backtrack.
_WORDS = re.compile(r"[^\W\d_]++")
_NUMBERS = re.compile(r"\d++")
_SENTENCE_ENDS = re.compile(r"[.!?](?=\s|\Z)")
_OPTIONS = re.compile(r"(?m)^[ \t]*+\(?[A-Ja-j1-9][.):][ \t]")
_CHAIN = re.compile(r"(?<![\d.])\d++(?: ?[-+*/%^\u00d7\u00f7] ?\d++)++")
_BARE_CHAIN = re.compile(r"[-+(]*+\d++(?:\)*+[-+*/%^\u00d7\u00f7][-+(]*+\d++)++\)*+[=?.]*+")
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb"
_OPERATORS = "+-*/%^\u00d7\u00f7="


def lexical(text: str) -> Floats:
    """The features of one text: (n_features,) float32 in the order of `FEATURES`, each finite and in [0, 30].

    Deterministic; about 0.05 ms at 50 tokens, and bounded for long texts (see `window`)."""
    seen = window(text)
    words = _WORDS.findall(seen.lower())
    numbers = _NUMBERS.findall(seen)
    size, n_words = max(len(seen), 1), len(words)
    lists = _count_lists(words)
    letters = sum(map(len, words))
    values = (
        log1p(len(text)),
        log1p(n_words),
        log1p(letters / n_words) if n_words else 0.0,
        len(set(words)) / n_words if n_words else 0.0,
        log1p(seen.count("\n")),
        log1p(len(_SENTENCE_ENDS.findall(seen))),
        sum(map(len, numbers)) / size,
        log1p(len(numbers)),
        log1p(max(map(len, numbers), default=0)),
        log1p(_count(seen, _OPERATORS)),
        *_chain_features(seen, len(text) == len(seen)),
        log1p(_count(seen, "([{")),
        log1p(_count(seen, "{};<>`#") + seen.count("==") + seen.count("->")),
        log1p(_count(seen, "\\$^_∑∫√≤≥π")),
        log1p(len(_OPTIONS.findall(seen))),
        log1p(seen.count("?")),
        sum(map(str.isupper, seen)) / size,
        0.0 if seen.isascii() else 1.0 - len(seen.encode("ascii", "ignore")) / size,
        log1p(_count(seen, _QUOTES)),
        *(log1p(lists[place]) for place in range(7)),
        float(lists[7] > 0),
        float(lists[8] > 0),
        log1p(lists[9]),
    )
    return np.array(values, dtype=np.float32)


def lexical_batch(texts: Iterable[str]) -> Floats:
    """The features of several texts: (n, n_features) float32."""
    rows = [lexical(text) for text in texts]
    return np.stack(rows) if rows else np.zeros((0, len(FEATURES)), dtype=np.float32)


def window(text: str, head: int = HEAD, tail: int = TAIL) -> str:
    """The text itself where it is short, else its first `head` and last `tail` characters, with a line between."""
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"


def characters(features: NDArray[Any]) -> NDArray[np.float64]:
    """How many characters the texts had, from their features (n, n_features): (n,)."""
    return np.expm1(features[:, 0].astype(np.float64))


def text_of(query: Query) -> str:
    """What the estimates look at: the last user message; where it is short and no bare chain, with the end of the
    earlier turns before it. Parts that are no text (images, audio) are left out. May be empty."""
    user = [place for place, message in enumerate(query.messages) if message.get("role") == "user"]
    if not user:
        return "\n".join(filter(None, map(message_text, query.messages)))
    last = message_text(query.messages[user[-1]])
    if len(last) >= SHORT_CHARACTERS or _BARE_CHAIN.fullmatch("".join(last.split())):
        return last
    turns = [m for m in query.messages[: user[-1]] if m.get("role") in ("user", "assistant")]
    earlier = "\n".join(filter(None, map(message_text, turns[-4:])))
    return f"{earlier[-EARLIER_CHARACTERS:]}\n{last}" if earlier else last


def message_text(message: Json) -> str:
    """The text of one message in OpenAI's form: a string, or the text parts of a list."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast("Json", part) for part in cast("Sequence[Any]", content) if isinstance(part, dict)]
    texts = [part.get("text") for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))


def _count(text: str, marks: str) -> int:
    return sum(map(text.count, marks))


def _count_lists(words: Sequence[str]) -> list[int]:
    """How many of the words stand in each of the word lists."""
    counts = [0] * len(_LISTS)
    for word in words:
        for place in _LIST_OF.get(word, ()):
            counts[place] += 1
    return counts


def _chain_features(seen: str, whole: bool) -> tuple[float, ...]:
    """(log operators of the longest chain, nothing but a chain, its operators over 8, those over 2, over 4, over 6).

    The last four are 0 unless the text is a bare chain, and at most 4: a chain of 32 operators and more counts as 32.
    """
    longest = max((len(_NUMBERS.findall(chain)) - 1 for chain in _CHAIN.findall(seen)), default=0)
    compact = "".join(seen.split()) if whole else ""
    if not _BARE_CHAIN.fullmatch(compact):
        return log1p(longest), 0.0, 0.0, 0.0, 0.0, 0.0
    operators = len(_NUMBERS.findall(compact)) - 1
    lengths = (min(max(operators - start, 0), 32) / 8 for start in (0, 2, 4, 6))
    return log1p(max(longest, operators)), 1.0, *lengths
