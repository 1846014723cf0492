"""SQLAlchemy's compliance suite for dialects."""

from sqlalchemy.testing.suite import *  # noqa: F403 - the tests are whatever the package brings
