"""Which tables does the first form of the book database have?"""

import sqlalchemy as sa
from alembic import op

revision = "book_0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "leaf",
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_table(
        "node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "event",
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("refers_to", sa.Integer(), nullable=True),
        sa.Column("change_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["idx"],
            ["leaf.idx"],
        ),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index("event_change", "event", ["change_id"], unique=False)
    op.create_index("event_kind", "event", ["kind", "idx"], unique=False)
    op.create_index("event_principal", "event", ["principal", "idx"], unique=False)
    op.create_index("event_refers_to", "event", ["refers_to"], unique=False)
    op.create_index("event_source", "event", ["source", "idx"], unique=False)
    op.create_index("event_time", "event", ["time"], unique=False)
    op.create_table(
        "event_table",
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["idx"],
            ["event.idx"],
        ),
        sa.PrimaryKeyConstraint("idx", "name"),
    )
    op.create_index("event_table_name", "event_table", ["name", "idx"], unique=False)
