"""The suite runs in a process of its own, with SQLAlchemy's plugin."""

collect_ignore = ["suite"]
