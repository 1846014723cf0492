"""Where do messages wait until they are sent, and where is it kept how people want to hear?"""

import sqlalchemy as sa
from alembic import op

revision = "state_0004"
down_revision = "state_0003"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("is_daily", sa.Boolean(), nullable=False),
        sa.Column("told_at", sa.String(length=40), nullable=False),
        sa.Column("due_at", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_place", "delivery", ["channel", "person"])
    op.create_index("delivery_due", "delivery", ["due_at"])
    op.create_table(
        "reminder",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("change_id"),
    )
    op.create_table(
        "preference",
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("principal"),
    )
