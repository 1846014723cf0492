"""What does the policy folder hold? The texts of its YAML files, by path."""

from __future__ import annotations

from pathlib import Path

from gatebook_hub.errors import PolicyInvalid


def read_policies(folder: Path) -> dict[str, str]:
    """Read every YAML file below the folder; raises PolicyInvalid when there is none or one cannot be read."""
    if not folder.is_dir():
        raise PolicyInvalid(f"there is no policy folder `{folder}`")
    texts: dict[str, str] = {}
    for path in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        try:
            texts[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyInvalid(f"{path}: cannot be read: {error}") from error
    if not texts:
        raise PolicyInvalid(f"the policy folder `{folder}` has no YAML files")
    return texts
