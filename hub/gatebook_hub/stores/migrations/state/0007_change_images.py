"""Where are the rows of changes kept that are too many for their requests? In parts, so that they can be undone."""

import sqlalchemy as sa
from alembic import op

revision = "state_0007"
down_revision = "state_0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "change_image",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", "part"),
    )
