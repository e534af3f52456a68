"""Alembic's entry: runs the migrations on the connection and in the transaction that `schema.upgrade` opened.

Alembic loads this file by its path, outside the package, so it imports nothing of ours."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], target_metadata=context.config.attributes["metadata"]
)
context.run_migrations()
