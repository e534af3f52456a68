"""What a conversation shows beyond its last message: that the caller was not served by the answer before.

"Wrong, try again" says nothing of how hard a question is to whoever reads that message alone, and everything to whoever
knows that an answer stood before it. English words; other languages are decided as any message."""

from __future__ import annotations

import re

from ..classifiers.features import message_text
from ..domain import Query

LONGEST = 200
"""Characters up to which a message may be nothing but a complaint; a longer one is a question of its own."""

_COMPLAINT = re.compile(
    r"^\W*(?:no\W+)?(?:sorry\W+)?(?:but\W+)?(?:i think\W+)?"
    r"(?:(?:that|this|it|your answer|the answer|you)(?:['\u2019]s|['\u2019]re| is| are| was| were| looks| seems)?\s+)?"
    r"(?:still |also |just |completely |not )*(?:wrong|incorrect|mistaken|not (?:right|correct|true)|false)\b"
    r"|\b(?:try|think) (?:it |that )?(?:once )?(?:again|harder)\b"
    r"|\b(?:is|are|was|were)(?:n['\u2019]t| not) (?:right|correct)\b",
    re.IGNORECASE,
)


def complains(query: Query) -> bool:
    """Whether the last message only says that the answer before it was wrong, or asks for another try."""
    if len(query.messages) < 2 or query.messages[-1].get("role") != "user":
        return False
    if not any(message.get("role") == "assistant" for message in query.messages[:-1]):
        return False
    last = message_text(query.messages[-1]).strip()
    return len(last) <= LONGEST and _COMPLAINT.search(last) is not None
