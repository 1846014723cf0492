"""Does the service know what the Hub told it, and does it keep the secret?"""

from __future__ import annotations

import pytest
from tests.unit.gatebook_server_tools.conftest import HUB

from gatebook_server.tools.options import Options


def test_the_secret_leaves_the_environment() -> None:
    environment = {**HUB, "JPY_API_TOKEN": "service-secret"}
    options = Options.read([], environment)
    assert options.api_token == "service-secret"
    assert "service-secret" not in environment.values()
    assert "service-secret" not in repr(options)


def test_what_the_hub_says_is_understood() -> None:
    options = Options.read(["--ready", "3"], {**HUB, "GATEBOOK_LAUNCHER": "/run/x.sock"})
    assert (options.prefix, options.port, options.ready) == ("/services/tools/", 8083, 3)
    assert options.access_scopes == {"access:services!service=tools"}
    assert str(options.launcher) == "/run/x.sock"


@pytest.mark.parametrize("missing", ["JUPYTERHUB_API_TOKEN", "JUPYTERHUB_API_URL", "JUPYTERHUB_CLIENT_ID"])
def test_without_a_hub_it_does_not_start(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Options.read([], {name: value for name, value in HUB.items() if name != missing})
    assert "service of JupyterHub" in capsys.readouterr().err
