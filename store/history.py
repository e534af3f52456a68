"""What was logged, as training reads it: one observation an answered attempt, labelled by what was said of it; and one
a decision that was only asked for, where somebody said how it turned out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from ..domain import Attempt, Finish, Observation, Purpose, Query
from .database import Database
from .ledger import read_groups, read_page
from .outcomes import label
from .records import Record
from .texts import last_user_text, query_hash

_PAGE = 500


def observations(
    database: Database,
    since: datetime | None = None,
    *,
    text_of: Callable[[Query], str] = last_user_text,
    encoder: str | None = None,
) -> Iterator[Observation]:
    """Every answered attempt of the decisions made from `since` on, in order of time.

    Only the attempt whose answer the caller got, the last one, takes the decision's label; those that it escalated
    from keep `correct` None (their tokens are still worth knowing), and an attempt that failed is left out: an outage
    is no wrong answer. The query's hash is its id; its group is the last one that the question was given, whenever and
    by whomever it is asked, else the hash too. The same route's further answers to it are further samples. A decision
    that nothing was run for (its caller did that) counts where it has a label, its tokens unknown.

    text_of: what of a query is learnt from (where texts are kept). encoder: features and embeddings of another encoder
    are left out; None takes all.
    Read in pages, each in its own short transaction, so it hinders no writer. Raises StoreError."""
    seen: Counter[tuple[str, str]] = Counter()
    with database.reading() as connection:
        groups = read_groups(connection)
    for record in records(database, since):
        for observation in _of_record(record, groups, text_of, encoder):
            key = (observation.query_id, observation.route)
            yield replace(observation, sample=seen[key])
            seen[key] += 1


def records(database: Database, since: datetime | None = None) -> Iterator[Record]:
    """Every record of the decisions made from `since` on, in order of time. Raises StoreError."""
    after = None
    while True:
        with database.reading() as connection:
            page = read_page(connection, since=since, after=after, size=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = (page[-1].decision.created_at, page[-1].decision.id)


def answered(attempt: Attempt) -> bool:
    """Whether the attempt came to an end of its own: not by an outage, not by the caller's leaving."""
    return attempt.error is None and attempt.finish not in (Finish.ERROR, Finish.CANCELLED)


def _of_record(
    record: Record, groups: Mapping[str, str], text_of: Callable[[Query], str], encoder: str | None
) -> Iterator[Observation]:
    answers = [attempt for attempt in record.attempts if attempt.purpose is Purpose.ANSWER]
    verdict = label(record.outcomes)
    query_id = record.query_hash or query_hash(record.query)
    comparable = encoder is None or record.encoder == encoder
    route = record.decision.route
    asked = Observation(
        query_id=query_id,
        group=groups.get(query_id, query_id),
        route=route.name,
        correct=None if verdict is None else verdict.correct,
        input_tokens=None,
        output_tokens=None,
        text=text_of(record.query) if record.query.messages else None,
        weight=1.0 if verdict is None else verdict.weight,
        features=record.features if comparable else None,
        embedding=record.embedding if comparable else None,
        model=route.model,
        thinking_budget=route.thinking_budget,
        mode=route.mode,
    )
    if not record.attempts and verdict is not None:
        yield asked
    for attempt in answers:
        if not answered(attempt):
            continue
        got = attempt is answers[-1]  # nobody said anything of the others
        cut = attempt.finish is Finish.LENGTH
        yield replace(
            asked,
            route=attempt.route,
            correct=asked.correct if got else None,
            input_tokens=max(0, attempt.usage.prompt - attempt.kept),  # as if it had thought all of it
            output_tokens=None if cut and not got else attempt.usage.output + attempt.kept,  # None: at least so many
            thought_tokens=attempt.usage.thought + attempt.kept,
            answer=attempt.answer if attempt.finish is Finish.STOP else None,  # one cut off cannot be read
            signs=attempt.signs,
            probe_cost=_probe_cost(record, attempt),
            weight=asked.weight if got else 1.0,
            model=attempt.model,
            thinking_budget=attempt.thinking_budget,
            mode=route.mode if attempt.route == route.name else None,
        )


def _probe_cost(record: Record, answer: Attempt) -> float:
    """What the probes about this answer cost, in currency."""
    probes = (a for a in record.attempts if a.purpose is Purpose.PROBE and a.route == answer.route)
    return sum(probe.cost for probe in probes)
