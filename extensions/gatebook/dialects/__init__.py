"""SQLAlchemy's dialects for sources behind the gate.

    sqlalchemy.create_engine("gatebook+postgresql:///chinook")

Each compiles for its source's engine, sends through `gatebook.dbapi`, and reflects what the gate says of the tables.
The address and the token come from the environment, as in every notebook of the workspace; elsewhere they are written
as `gatebook+postgresql://:TOKEN@host:port/chinook`, with `?tls=1` for https, or given as `connect_args`.
"""

from __future__ import annotations
