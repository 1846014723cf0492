"""Which engines are attacked?"""

import pytest

from gatebook_hub.model import Engine

ENGINES = [
    pytest.param(Engine.SQLITE, id="sqlite"),
    pytest.param(Engine.POSTGRESQL, id="postgresql", marks=pytest.mark.postgres),
    pytest.param(Engine.MARIADB, id="mariadb", marks=pytest.mark.mariadb),
    pytest.param(Engine.DUCKDB, id="duckdb"),
]
