"""Attempts keep what the answer's own token probabilities say of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; rows from before have none."""
    op.add_column("attempts", sa.Column("signs", sa.JSON, nullable=True))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("attempts", "signs")
