"""Run by Alembic: the migrations work on the connection that `store.migrating` hands over."""

from alembic import context

from dermaxai.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
