"""How is a source archive kept from running? By a build backend that only repeats the archive's name and version.

`pip download` asks the build backend of a source archive for metadata, and for an old archive that backend is
setuptools, which runs the archive's `setup.py`. `fetch` lays a copy of this file in setuptools' place for that call.
It stands alone: it runs inside whatever interpreter pip has.
"""

import os
import sys
from pathlib import Path


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Nothing is built, so nothing is needed."""
    del config_settings
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    """The least metadata that pip takes (PEP 517, core metadata 2.1)."""
    del config_settings
    name, version = os.environ["GATEBOOK_FETCH_NAME"], os.environ["GATEBOOK_FETCH_VERSION"]
    folder = Path(metadata_directory) / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    return folder.name


# pip calls archives without a pyproject.toml through this attribute of `setuptools.build_meta`.
__legacy__ = sys.modules[__name__]
