"""Which access was given for a time?"""

import sqlalchemy as sa
from alembic import op

revision = "state_0010"
down_revision = "state_0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lease",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("until", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("change_id"),
    )
    op.create_index("lease_until", "lease", ["until"])
