"""Attempts say how much of another one's thought they went on with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; rows from before have none."""
    op.add_column("attempts", sa.Column("kept_tokens", sa.BigInteger, nullable=True))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("attempts", "kept_tokens")
