"""Numbered changes of the tables, run at start by Alembic; never edited once released."""
