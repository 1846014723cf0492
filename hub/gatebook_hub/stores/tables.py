"""Which tables do our own databases have? `BOOK` is the log with its index, `STATE` is everything else."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)  # fmt: skip

BOOK = MetaData()
STATE = MetaData()

leaf = Table(
    "leaf",
    BOOK,
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
checkpoint = Table(
    "checkpoint",
    BOOK,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
node = Table(
    "node",
    BOOK,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
event = Table(
    "event",
    BOOK,
    Column("idx", Integer, ForeignKey("leaf.idx"), primary_key=True, autoincrement=False),
    Column("time", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("source", String(64)),
    Column("outcome", String(16)),
    Column("refers_to", Integer),
    Column("change_id", String(40)),
    Index("event_time", "time"),
    Index("event_principal", "principal", "idx"),
    Index("event_kind", "kind", "idx"),
    Index("event_source", "source", "idx"),
    Index("event_refers_to", "refers_to"),
    Index("event_change", "change_id"),
)
event_table = Table(
    "event_table",
    BOOK,
    Column("idx", Integer, ForeignKey("event.idx"), primary_key=True, autoincrement=False),
    Column("name", String(128), primary_key=True),
    Index("event_table_name", "name", "idx"),
)

change = Table(
    "change",
    STATE,
    Column("id", String(40), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("requester", String(128), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("expires_at", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("forgotten", Boolean, nullable=False, server_default="0"),
    Column("unsettled", Boolean, nullable=False, server_default="0"),
    Index("change_state", "state", "created_at"),
    Index("change_created", "created_at"),
    Index("change_requester", "requester", "created_at"),
    Index("change_unsettled", "created_at", sqlite_where=text("unsettled IS 1")),
)
change_outline = Table(
    "change_outline",
    STATE,
    Column("change_id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
)
change_group = Table(
    "change_group",
    STATE,
    Column("change_id", String(40), primary_key=True),
    Column("name", String(256), primary_key=True),
)
change_image = Table(
    "change_image",
    STATE,
    Column("change_id", String(40), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)
lease = Table(
    "lease",
    STATE,
    Column("change_id", String(40), primary_key=True),
    Column("principal", String(128), nullable=False),
    Column("grant_id", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("until", String(40), nullable=False),
    Index("lease_until", "until"),
)
token = Table(
    "token",
    STATE,
    Column("digest", String(64), primary_key=True),
    Column("label", String(16), nullable=False),
    Column("principal", Text, nullable=False),
    Column("expires_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
)
session = Table(
    "session",
    STATE,
    Column("digest", String(64), primary_key=True),
    Column("principal", Text, nullable=False),
    Column("xsrf", String(64), nullable=False),
    Column("hub_token", Text),
    Column("expires_at", String(40), nullable=False),
)
login = Table(
    "login",
    STATE,
    Column("digest", String(64), primary_key=True),
    Column("document", Text, nullable=False),
    Column("expires_at", String(40), nullable=False),
)
receipt = Table(
    "receipt",
    STATE,
    Column("principal", String(128), primary_key=True),
    Column("idempotency_key", String(128), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("answer", Text, nullable=False),
)
run = Table(
    "run",
    STATE,
    Column("id", String(40), primary_key=True),
    Column("job", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("trigger", String(128), nullable=False),
    Column("scheduled_for", String(40), nullable=False),
    Column("started_at", String(40)),
    Column("finished_at", String(40)),
    Column("attempt", Integer, nullable=False),
    Column("cells_done", Integer, nullable=False),
    Column("cells_total", Integer, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("error", Text),
    Column("notebook", Text),
    Column("seconds", Float),
    Index("run_job", "job", "scheduled_for"),
)
tool_version = Table(
    "tool_version",
    STATE,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("author", String(128), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("check_report", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reviewer", String(128)),
    Column("reason", Text),
    Column("reviewed_at", String(40)),
    Column("review_event", Integer),
    Index("tool_version_name", "name", "version", unique=True),
    Index("tool_version_state", "state", "id"),
)
tool_force = Table(
    "tool_force",
    STATE,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("version", String(64)),
    Column("since", String(40), nullable=False),
    Column("by", String(128), nullable=False),
    Index("tool_force_name", "name", "id"),
)
source_identity = Table(
    "source_identity",
    STATE,
    Column("source", String(64), primary_key=True),
    Column("identity", String(256), nullable=False),
)
notice = Table(
    "notice",
    STATE,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("document", Text, nullable=False),
)
delivery = Table(
    "delivery",
    STATE,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", String(64), nullable=False),
    Column("person", String(128), nullable=False),
    Column("is_daily", Boolean, nullable=False),
    Column("told_at", String(40), nullable=False),
    Column("due_at", String(40), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Index("delivery_place", "channel", "person"),
    Index("delivery_due", "due_at"),
)
reminder = Table("reminder", STATE, Column("change_id", String(40), primary_key=True))
preference = Table(
    "preference",
    STATE,
    Column("principal", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)
favourite = Table(
    "favourite",
    STATE,
    Column("principal", String(128), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("name", String(160), primary_key=True),
)
saved_query = Table(
    "saved_query",
    STATE,
    Column("id", String(40), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("author", String(128), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("deleted_at", String(40)),
    Column("deleted_by", String(128)),
    Index("saved_query_name", "author", "name", unique=True, sqlite_where=text("deleted_at IS NULL")),
)
saved_version = Table(
    "saved_version",
    STATE,
    Column("query_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)
saved_share = Table(
    "saved_share",
    STATE,
    Column("query_id", String(40), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("edits", Boolean, primary_key=True),
    Index("saved_share_name", "name"),
)
