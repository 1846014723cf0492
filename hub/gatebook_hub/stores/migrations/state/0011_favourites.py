"""What does each person like to come back to?"""

import sqlalchemy as sa
from alembic import op

revision = "state_0011"
down_revision = "state_0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "favourite",
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("principal", "kind", "name"),
    )
