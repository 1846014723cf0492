"""Is the YAML of the how-to page about policy valid on the demo database, and does it say what its tests expect?"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.repo.test_policies import gatebook

ROOT = Path(__file__).resolve().parents[2]
MASK = re.compile(r"`mask: ([^`]+)`")
BLOCK = re.compile(r"(?ms)^```yaml\n(.*?)^```$")


def set_of(page: str, folder: Path) -> Path:
    """The page's blocks as a policy set over the demo source; a block that begins with `tests:` is a test file."""
    (folder / "sources").mkdir(parents=True)
    (folder / "tests").mkdir()
    shutil.copyfile(ROOT / "policies" / "sources" / "chinook.yaml", folder / "sources" / "chinook.yaml")
    for number, text in enumerate(BLOCK.findall((ROOT / "docs" / "how-to" / page).read_text())):
        name = f"tests/{number}.yaml" if text.startswith("tests:") else f"{number}.yaml"
        (folder / name).write_text(text)
    return folder


def test_the_rules_of_the_page_are_good_and_hold(state: Path, tmp_path: Path) -> None:
    policies = set_of("protect-a-column.md", tmp_path / "policies")
    checked = gatebook("policy", "check", state=state, policies=policies)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = gatebook("policy", "test", state=state, policies=policies)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"^[4-9] passed, 0 failed$", tested.stdout, re.MULTILINE)


def test_every_mask_of_the_page_is_one(state: Path, tmp_path: Path) -> None:
    """Each on a column of its own that it fits, as it is written in the page's table."""
    page = (ROOT / "docs" / "how-to" / "protect-a-column.md").read_text()
    masks = sorted({mask for mask in MASK.findall(page) if mask != "custom"})
    columns = {"year": "employee.birthdate", "bucket(100)": "invoice.total"}
    rules = [
        f"  - {{id: mask-{number}, on: chinook.{columns.get(mask, 'customer.email')}, mask: {mask}}}"
        for number, mask in enumerate(masks)
    ]
    custom = re.search(r"`mask: custom` with `(expression: [^`]+)`", page)
    assert custom is not None
    rules.append(f"  - id: own\n    on: chinook.customer.phone\n    mask: custom\n    {custom[1]}")
    policies = tmp_path / "policies"
    (policies / "sources").mkdir(parents=True)
    shutil.copyfile(ROOT / "policies" / "sources" / "chinook.yaml", policies / "sources" / "chinook.yaml")
    (policies / "masks.yaml").write_text("protections:\n" + "\n".join(rules) + "\n")
    checked = gatebook("policy", "check", state=state, policies=policies)
    assert "0 errors" in checked.stdout, checked.stdout + checked.stderr
    assert len(masks) == 8
