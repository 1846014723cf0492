"""What stands beside each change request for lists, and whose groups may see it? They are filled at the next start."""

import sqlalchemy as sa
from alembic import op

revision = "state_0006"
down_revision = "state_0005"


def upgrade() -> None:
    """Make the tables, and an index of the few requests that have to be looked at after they were executed."""
    op.create_table(
        "change_outline",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("change_id"),
    )
    op.create_table(
        "change_group",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("change_id", "name"),
    )
    op.create_index("change_unsettled", "change", ["created_at"], sqlite_where=sa.text("unsettled IS 1"))
