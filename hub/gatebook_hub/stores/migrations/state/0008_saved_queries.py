"""Where are saved queries kept, each with all of its versions and with whom it is shared?"""

import sqlalchemy as sa
from alembic import op

revision = "state_0008"
down_revision = "state_0007"


def upgrade() -> None:
    """Make the tables; a name is its author's once, among those that are not deleted."""
    op.create_table(
        "saved_query",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.String(length=40)),
        sa.Column("deleted_by", sa.String(length=128)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "saved_query_name",
        "saved_query",
        ["author", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "saved_version",
        sa.Column("query_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("query_id", "number"),
    )
    op.create_table(
        "saved_share",
        sa.Column("query_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("edits", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("query_id", "name", "edits"),
    )
    op.create_index("saved_share_name", "saved_share", ["name"])
