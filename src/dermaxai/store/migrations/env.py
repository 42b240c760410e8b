"""Run by Alembic: the migrations work on the connection that `store.migrating` hands over."""

from alembic import context

from dermaxai.store.tables import Base


def run() -> None:
    """All migrations up to the one that was asked for, in the transaction of the connection."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # Absent where the module is only imported.
    run()
