"""What does each person like to come back to? One row each."""

from __future__ import annotations

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from gatebook_hub.stores.tables import favourite


class FavouriteStore:
    """Kind and name of what people marked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, principal: str) -> frozenset[tuple[str, str]]:
        """What a principal marked, each a kind and a name."""
        query = select(favourite.c.kind, favourite.c.name).where(favourite.c.principal == principal)
        with self._engine.connect() as connection:
            return frozenset((row.kind, row.name) for row in connection.execute(query))

    def keep(self, principal: str, kind: str, name: str, *, most: int) -> bool:
        """Mark something, unless so many are marked already; whether it is marked now."""
        count = select(func.count()).select_from(favourite).where(favourite.c.principal == principal)
        values = {"principal": principal, "kind": kind, "name": name}
        try:
            with self._engine.begin() as connection:
                if (connection.scalar(count) or 0) >= most:
                    return (kind, name) in self.of(principal)
                connection.execute(insert(favourite).values(**values))
        except IntegrityError:
            return True
        return True

    def drop(self, principal: str, kind: str, name: str) -> None:
        """Mark something no more."""
        wanted = (favourite.c.principal == principal, favourite.c.kind == kind, favourite.c.name == name)
        with self._engine.begin() as connection:
            connection.execute(delete(favourite).where(*wanted))
