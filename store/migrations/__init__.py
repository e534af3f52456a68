"""The history of the tables' form, for Alembic. `schema.py` runs it; `versions` only ever grows."""
