"""JupyterHub's configuration file: everything is decided in `gatebook_hub.hubconfig`.

Settings come from the environment (`GATEBOOK_…`) or from the file `gatebook.env`; see `gatebook_hub.settings`.
What is set below `configure` wins: single sign-on, another spawner, limits.
"""

from traitlets.config import get_config

from gatebook_hub.hubconfig import configure
from gatebook_hub.settings import Settings

c = get_config()

configure(c, Settings())
