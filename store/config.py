"""The store's section of the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class StoreConfig(BaseModel):
    """Where decisions and outcomes are kept, and what of them.

    `url` is a SQLAlchemy URL: `sqlite:////abs/path.db` (the folder is made) or `postgresql://user:pw@host/db`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="",
        description="SQLAlchemy URL of the database: sqlite:///FILE or postgresql://…; empty: a SQLite file in `home`",
    )
    keep_text: bool = Field(
        default=True,
        description="Write messages, tools, answers and error texts. Off: only a hash of the text, the features and "
        "the embedding are written.",
    )
    queue_capacity: int = Field(
        default=10_000, ge=1, description="The most records and outcomes that wait to be written; more are dropped."
    )
    queue_megabytes: int = Field(
        default=256, ge=1, description="The most memory, roughly, that waiting records may take; more are dropped."
    )
    retention_days: int | None = Field(
        default=None, ge=1, description="Delete decisions older than this many days, once an hour; none: keep all."
    )
