"""What may a kernel find in its environment? What is listed here, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = frozenset(
    {
        "HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS", "LINES", "TMPDIR",
        "VIRTUAL_ENV", "MPLBACKEND", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONWARNINGS",
        "PYDEVD_USE_FRAME_EVAL", "PYDEVD_DISABLE_FILE_VALIDATION", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "IPYTHONDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    }
)  # fmt: skip
# The request that Voila describes to a page's kernel, in CGI's words.
_PAGE = frozenset(
    {
        "PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE",
        "VOILA_APP_IP", "VOILA_APP_PORT", "VOILA_BASE_URL", "VOILA_KERNEL_ID", "VOILA_PREHEAT", "VOILA_REQUEST_URL",
        "VOILA_SERVER_URL", "VOILA_WS_BASE_URL", "VOILA_WS_PROTOCOL",
    }
)  # fmt: skip
_LOCALE = re.compile(r"LC_[A-Z]+\Z")
# A second lock for the day somebody widens the lists above.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|API_?KEY|COOKIE|\AJUPYTERHUB|\AJPY_|\ACONFIGPROXY", re.IGNORECASE
)


def is_kernel_variable(name: str) -> bool:
    """Whether a kernel may inherit the variable of this name."""
    is_listed = name in _PLAIN or name in _PAGE or _LOCALE.match(name) is not None
    return is_listed and _SECRET.search(name) is None


def kernel_environment(inherited: Mapping[str, str], *, url: str, token: str) -> dict[str, str]:
    """Return the environment of one kernel: the listed part of `inherited`, the relay's address, its gate token."""
    environment = {name: value for name, value in inherited.items() if is_kernel_variable(name)}
    environment.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    environment["GATEBOOK_URL"] = url
    environment["GATEBOOK_TOKEN"] = token
    return environment
