"""Every test of the queue runs on both databases."""

from tests.databases import database, postgres, sqlite_store, store

__all__ = ["database", "postgres", "sqlite_store", "store"]
