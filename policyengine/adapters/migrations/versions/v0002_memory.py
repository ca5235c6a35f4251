"""What a shard remembers besides states: timers, who is where, the order of a fan-out, jobs' lists.

Events of the world stop being somebody's: their ``customer`` is NULL from here on.
"""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from policyengine.errors import LedgerError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_entry = sa.table(
    "entry", sa.column("shard"), sa.column("seq"), sa.column("kind"), sa.column("body"), sa.column("customer")
)


def _shard() -> sa.Column[str]:
    return sa.Column("shard", sa.Text, sa.ForeignKey("shard.shard"), primary_key=True)


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _name(name: str, *, key: bool = True) -> sa.Column[str]:
    return sa.Column(name, _NAME, primary_key=key, nullable=False)


def upgrade() -> None:
    """Make the tables; they are filled by whoever claims a shard, from its entries."""
    op.create_table(
        "timer",
        _shard(),
        _name("customer"),
        _name("id"),
        _number("due"),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("timer_due", "timer", ["shard", "due", "customer", "id"])
    op.create_table(
        "place", _shard(), _name("key"), _name("customer"), _name("part"), sqlite_with_rowid=False
    )
    op.create_table("ranking", _shard(), _name("customer"), _number("rank"), sqlite_with_rowid=False)
    op.create_table(
        "queue",
        _shard(),
        _number("job", key=True),
        _number("position", key=True),
        _name("customer", key=False),
        sqlite_with_rowid=False,
    )
    of_world = sa.text("kind = 'internal' AND customer IS NULL")
    op.create_index("entry_world", "entry", ["ref"], sqlite_where=of_world, postgresql_where=of_world)
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for column in ("customer", "part"):
            op.alter_column("state", column, type_=sa.Text(collation="C"), existing_nullable=False)
    _disown_the_world(connection)


def _disown_the_world(connection: sa.Connection) -> None:
    """Take the customer from events whose type has the scope `world` in the policy set before them."""
    query = (
        sa.select(_entry.c.shard, _entry.c.seq, _entry.c.kind, _entry.c.body)
        .where(_entry.c.kind.in_(("event", "policy_set")))
        .order_by(_entry.c.shard, _entry.c.seq)
    )
    world: frozenset[str] = frozenset()
    found = []
    for shard, seq, kind, body in connection.execute(query, execution_options={"yield_per": 500}):
        try:
            document = orjson.loads(body)
            if kind == "policy_set":
                world = _world_types(document)
            elif world and document["event"]["type"] in world:
                found.append({"shard_": shard, "seq_": seq})
        except (KeyError, TypeError, ValueError, AttributeError):  # damaged: verify names it
            continue
    if found:
        here = sa.and_(_entry.c.shard == sa.bindparam("shard_"), _entry.c.seq == sa.bindparam("seq_"))
        connection.execute(sa.update(_entry).where(here).values(customer=None), found)


def _world_types(document: Any) -> frozenset[str]:
    return frozenset(
        name.removeprefix("events/")
        for name, schema in document["catalogue"].items()
        if name.startswith("events/") and schema.get("x-scope") == "world"
    )


def downgrade() -> None:
    """The tables can be made again of the entries, but an older program would not keep them."""
    message = "a ledger with timers cannot be handed back to an older version"
    raise LedgerError(message, code="PE703")
