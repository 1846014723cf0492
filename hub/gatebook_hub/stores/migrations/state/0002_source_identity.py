"""Where is it kept which database each source was when it was first met?"""

import sqlalchemy as sa
from alembic import op

revision = "state_0002"
down_revision = "state_0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_identity",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
