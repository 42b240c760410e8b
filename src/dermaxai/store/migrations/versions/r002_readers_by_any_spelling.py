"""Spellings of one pseudonym are one reader, and a photo whose job was cancelled is 'stopped', not 'failed'.

Before, each spelling was a reader of its own. Those that are there stay apart, with all that they said: the
first keeps the folded pseudonym, the others have '#' and their number behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from dermaxai.store.names import fold_pseudonym

revision = "r002"
down_revision = "r001"
branch_labels = None
depends_on = None

NEVER_TWICE = {"sqlite_autoincrement": True}
READERS = sa.table("readers", sa.column("id"), sa.column("pseudonym"), sa.column("folded"))
LAST_JOB = "SELECT state FROM jobs WHERE case_id = cases.id AND kind = 'explain' ORDER BY id DESC LIMIT 1"


def upgrade() -> None:
    """A column that no two readers share; states of photos whose job was cancelled."""
    op.add_column("readers", sa.Column("folded", sa.Text(), nullable=True))
    connection = op.get_bind()
    rows = connection.execute(sa.select(READERS.c.id, READERS.c.pseudonym).order_by(READERS.c.id)).all()
    for number, folded in _all_folded([(row.id, row.pseudonym) for row in rows]):
        connection.execute(READERS.update().where(READERS.c.id == number).values(folded=folded))
    with _rewritten_readers() as readers:
        readers.alter_column("folded", existing_type=sa.Text(), nullable=False)
        readers.create_unique_constraint("uq_readers_folded", ["folded"])
    op.execute(f"UPDATE cases SET state = 'stopped' WHERE state = 'failed' AND ({LAST_JOB}) = 'cancelled'")


def downgrade() -> None:
    """The column goes, every reader stays."""
    op.execute("UPDATE cases SET state = 'failed' WHERE state = 'stopped'")
    with _rewritten_readers() as readers:
        readers.drop_constraint("uq_readers_folded", type_="unique")
        readers.drop_column("folded")


@contextmanager
def _rewritten_readers() -> Iterator[BatchOperations]:
    """SQLite makes the table anew, and would then count its numbers from the largest that is left."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    asked = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'readers'")
    last = connection.scalar(asked) if is_sqlite else None
    with op.batch_alter_table("readers", table_kwargs=NEVER_TWICE) as readers:
        yield readers
    if last is not None:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'readers'")
        op.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('readers', {int(last)})")


def _all_folded(readers: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Number and folded pseudonym of each, no two the same."""
    taken = set[str]()
    for number, pseudonym in readers:
        folded = fold_pseudonym(pseudonym)
        while folded in taken:
            folded = f"{folded}#{number}"
        taken.add(folded)
        yield number, folded
