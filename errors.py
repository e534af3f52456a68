"""Every error that Pointsman raises on purpose. Each message says what was wrong, where, and what to do.

PointsmanError
├── ConfigError          a configuration file or setting (file, line, field)
├── BadRequest           what the caller sent (field, code)
│   ├── UnknownModel     a name that is no route and no model
│   ├── ContextTooLong   no route can take so long a query
│   └── BodyTooLarge     the request's body is over the limit
├── NotFound             no such decision or artifact
├── DataError            a table of outcomes or a file of questions (file, column)
├── NotFittedError       an estimator was asked before it was trained
├── ArtifactError        an artifact is damaged, foreign or of another version
├── StoreError           the database cannot be used
├── MissingExtra         an optional part is not installed (says the pip command)
├── LaunchError          an engine that we start did not come up (with its log's last lines)
└── BackendError         a model's server (backend, status, retry_after in seconds)
    ├── BackendTimeout       it took too long
    ├── BackendUnavailable   refused, reset, 5xx, loading, broken stream
    └── BackendRejected      it understood the request and refused it (4xx)
"""

from __future__ import annotations


class PointsmanError(Exception):
    """Base of everything that Pointsman raises on purpose."""


class ConfigError(PointsmanError):
    """A setting is wrong. `where` is `file:line` or the name of an environment variable."""

    def __init__(self, problem: str, *, field: str | None = None, where: str | None = None) -> None:
        self.problem, self.field, self.where = problem, field, where
        super().__init__(": ".join(part for part in (where, field, problem) if part))


class BadRequest(PointsmanError):
    """The caller's request is wrong. `field` names the part, `code` is OpenAI's where it has one."""

    def __init__(self, problem: str, *, field: str | None = None, code: str | None = None) -> None:
        self.problem, self.field, self.code = problem, field, code
        super().__init__(problem)


class UnknownModel(BadRequest):
    """The name is no route and no model; the message lists those that are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        listed = ", ".join(known)
        super().__init__(f"Unknown model {name!r}. Known: {listed}.", field="model", code="model_not_found")


class ContextTooLong(BadRequest):
    """No route can take so long a query; the message names the longest."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, field="messages", code="context_length_exceeded")


class BodyTooLarge(BadRequest):
    """The request's body is over the configured limit (bytes)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"The request's body is over the limit of {limit} bytes.", code="body_too_large")


class NotFound(PointsmanError):
    """There is no such decision or artifact."""


class DataError(PointsmanError):
    """A file of data cannot be used; names the file and, where it is one, the column."""

    def __init__(self, problem: str, *, file: str | None = None, column: str | None = None) -> None:
        self.problem, self.file, self.column = problem, file, column
        place = ": ".join(part for part in (file, f"column {column!r}" if column else None) if part)
        super().__init__(f"{place}: {problem}" if place else problem)


class NotFittedError(PointsmanError):
    """An estimator was asked before it was trained."""


class ArtifactError(PointsmanError):
    """An artifact is damaged, foreign, or written by another version."""


class StoreError(PointsmanError):
    """The database cannot be used: unreachable, read-only, of another version."""


class MissingExtra(PointsmanError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs an optional part: pip install 'pointsman[{extra}]'")


class LaunchError(PointsmanError):
    """An engine that we start did not come up. `log_tail` holds its log's last lines."""

    def __init__(self, problem: str, *, log_tail: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"{problem}\n{log_tail}" if log_tail else problem)


class BackendError(PointsmanError):
    """A model's server failed. status: HTTP status or None; retry_after: seconds that it asked us to wait, or None."""

    def __init__(
        self, problem: str, *, backend: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.problem, self.backend, self.status, self.retry_after = problem, backend, status, retry_after
        super().__init__(f"{backend}: {problem}")


class BackendTimeout(BackendError):
    """The server took longer than allowed."""


class BackendUnavailable(BackendError):
    """The server cannot be reached, is loading, failed (5xx) or broke off."""


class BackendRejected(BackendError):
    """The server understood the request and refused it (4xx): asking again will not help."""
