"""The first tables: shard, entry, root, checkpoint, state, seen, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from policyengine.errors import LedgerError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _shard() -> sa.Column[str]:
    return sa.Column("shard", sa.Text, sa.ForeignKey("shard.shard"), primary_key=True)


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _blob(name: str, *, key: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, primary_key=key, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def upgrade() -> None:
    """Make the tables; without their keys to ``shard`` none can be filled."""
    op.create_table(
        "shard",
        _text("shard", key=True),
        _number("batch"),
        _number("size"),
        _blob("root"),
        _blob("frontier"),
        _number("epoch"),
        _text("policy_set"),
        _blob("counters"),
        _blob("digest"),
    )
    op.create_table(
        "entry",
        _shard(),
        _number("seq", key=True),
        _text("kind"),
        _blob("header"),
        _blob("leaf"),
        _blob("salt"),
        _blob("body"),
        sa.Column("ref", sa.Text),
        sa.Column("customer", sa.Text),
    )
    by_ref = sa.text("kind IN ('decision', 'policy_set')")
    op.create_index("entry_ref", "entry", ["ref"], sqlite_where=by_ref, postgresql_where=by_ref)
    by_customer = sa.text("customer IS NOT NULL")
    op.create_index(
        "entry_customer",
        "entry",
        ["customer", "shard", "seq"],
        sqlite_where=by_customer,
        postgresql_where=by_customer,
    )
    op.create_table(
        "root", _shard(), _number("batch", key=True), _number("size"), _blob("root"), _blob("frontier")
    )
    op.create_table(
        "checkpoint",
        _shard(),
        _text("input", key=True),
        _number("offset"),
        _number("epoch"),
        _blob("fingerprint"),
        _blob("digest"),
    )
    op.create_table(
        "state",
        _shard(),
        _text("customer", key=True),
        _text("part", key=True),
        _blob("body"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seen",
        _shard(),
        _blob("key", key=True),
        _blob("digest"),
        _number("seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        _shard(),
        _text("channel", key=True),
        _number("next_seq"),
        _blob("position"),
        _blob("digest"),
    )


def downgrade() -> None:
    """There is nothing before the first step: a ledger is not thrown away by a migration."""
    message = "the first migration of a ledger cannot be undone"
    raise LedgerError(message, code="PE703")
