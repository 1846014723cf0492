"""Which database was each source when it was first met?"""

from __future__ import annotations

from sqlalchemy import Engine, delete, insert, select

from gatebook_hub.stores.tables import source_identity


class IdentityStore:
    """The identity of each source, as its server or file told it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def recall(self, source: str) -> str | None:
        """What is remembered, or None for a source that was never met."""
        query = select(source_identity.c.identity).where(source_identity.c.source == source)
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def remember(self, source: str, identity: str) -> None:
        """Keep it, in place of what was there."""
        with self._engine.begin() as connection:
            connection.execute(delete(source_identity).where(source_identity.c.source == source))
            connection.execute(insert(source_identity).values(source=source, identity=identity))
