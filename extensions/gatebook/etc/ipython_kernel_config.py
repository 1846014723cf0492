# ruff: noqa: INP001 - a file that IPython reads, not a package
"""Load gatebook's magics in every kernel of this environment; installed as `etc/ipython/ipython_kernel_config.py`.

`extra_extensions` and not `extensions`: a person's own list of extensions replaces the one here, this one stays.
"""

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - IPython gives it

c.InteractiveShellApp.extra_extensions = ["gatebook"]
