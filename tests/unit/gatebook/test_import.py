"""The client stands on its own, and a kernel that loads it starts at once."""

import subprocess
import sys

PROGRAM = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import gatebook
assert not {late!r} & set(sys.modules), {late!r} & set(sys.modules)
ours = {{name.partition(".")[0] for name in sys.modules if name.startswith("gatebook")}}
assert ours == {{"gatebook"}}, ours
"""


def test_importing_needs_neither_jupyter_nor_the_other_packages_and_loads_pandas_late() -> None:
    blocked = ["IPython", "ipykernel", "traitlets", "tornado", "pydantic", "sqlalchemy", "gatebook_hub"]
    program = PROGRAM.format(blocked=blocked, late={"pandas", "pyarrow", "numpy"})
    # The blocked names stay in sys.modules as None; only what is really loaded counts.
    program = program.replace('startswith("gatebook")', 'startswith("gatebook") and sys.modules[name] is not None')
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
