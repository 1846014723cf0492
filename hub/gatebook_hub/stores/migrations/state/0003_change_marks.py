"""Which change requests are forgotten, and which wait for a review after the fact? Columns that can be searched."""

import sqlalchemy as sa
from alembic import op

revision = "state_0003"
down_revision = "state_0002"


def upgrade() -> None:
    """Add the columns."""
    for name in ("forgotten", "unsettled"):
        op.add_column("change", sa.Column(name, sa.Boolean(), nullable=False, server_default="0"))
