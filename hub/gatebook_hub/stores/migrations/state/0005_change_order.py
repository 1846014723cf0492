"""How are the newest change requests found without looking at all of them?"""

from alembic import op

revision = "state_0005"
down_revision = "state_0004"


def upgrade() -> None:
    """Add the index."""
    op.create_index("change_created", "change", ["created_at"])
