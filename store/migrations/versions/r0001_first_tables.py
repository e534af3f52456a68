"""The first tables: decisions with their queries, attempts and outcomes; artifacts and promotions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


def _price() -> list[sa.Column[Any]]:
    return [
        sa.Column("price_input", sa.Double),
        sa.Column("price_cached_input", sa.Double),
        sa.Column("price_output", sa.Double),
        sa.Column("price_assumed", sa.Boolean, nullable=False),
    ]


def upgrade() -> None:
    """Creates all tables."""
    _decisions()
    _queries()
    _attempts()
    _outcomes()
    _artifacts()


def downgrade() -> None:
    """Drops all tables."""
    for name in ("promotions", "artifacts", "outcomes", "attempts", "queries", "decisions"):
        op.drop_table(name)


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("thinking_budget", sa.BigInteger),
        sa.Column("tier", sa.String),
        *_price(),
        sa.Column("capabilities", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("objective", sa.String, nullable=False),
        sa.Column("objective_value", sa.Double),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("artifact", sa.String),
        sa.Column("estimates", sa.JSON, nullable=False),
        sa.Column("propensity", sa.Double),
        sa.Column("confidence", sa.Double),
        sa.Column("observed", sa.String),
        sa.Column("overhead_ms", sa.Double),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_created_at_id"), "decisions", ["created_at", "id"])


def _queries() -> None:
    op.create_table(
        "queries",
        sa.Column("decision_id", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("messages", sa.JSON),
        sa.Column("tools", sa.JSON),
        sa.Column("demands", sa.JSON),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("features", sa.LargeBinary),
        sa.Column("embedding", sa.LargeBinary),
        sa.Column("encoder", sa.String),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_queries")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_queries_decision_id_decisions"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_queries_hash"), "queries", ["hash"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("decision_id", sa.String, nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("evidence_position", sa.Integer),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("thought_tokens", sa.BigInteger, nullable=False),
        sa.Column("answer_tokens", sa.BigInteger, nullable=False),
        *_price(),
        sa.Column("cost", sa.Double),
        sa.Column("latency_ms", sa.Double),
        sa.Column("first_token_ms", sa.Double),
        sa.Column("finish", sa.String, nullable=False),
        sa.Column("enforced", sa.String, nullable=False),
        sa.Column("thinking_budget", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("answer", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_attempts_decision_id_decisions"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_attempts_decision_id"), "attempts", ["decision_id"])


def _outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("decision_id", sa.String, nullable=False),
        sa.Column("metric", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("verdict", sa.String),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("idempotency_key", sa.String),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint("decision_id", "idempotency_key", name=op.f("uq_outcomes_decision_id_idempotency_key")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_outcomes_decision_id_decisions"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_outcomes_created_at"), "outcomes", ["created_at"])


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "promotions",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("artifact_id", sa.String),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name=op.f("fk_promotions_artifact_id_artifacts")),
    )
