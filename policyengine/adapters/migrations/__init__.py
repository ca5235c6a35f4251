"""The history of the ledger's tables, by Alembic; adapters.database runs it when a store is opened."""
