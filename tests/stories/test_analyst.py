"""The analyst works in JupyterLab with nothing to configure: reads come masked and scoped, a refusal says why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect
from tests.stories.lab import Lab
from tests.stories.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

UPDATE = """%%sql chinook --reason "the customer moved"
update invoice set billingcity = 'Ulm' where invoiceid = 1"""

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(services=("gateway",)) as running:
        yield running


@pytest.fixture(scope="module")
def lab(workspace: Workspace, browser: Browser) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    person = Lab(workspace, context, "analyst")
    person.log_in()
    person.open_notebook()
    yield person
    shoot(person, "lab-notebook")
    context.close()


def shoot(person: Lab, name: str) -> None:
    """Keep a picture, where somebody wants to look."""
    if folder := os.environ.get("GBTEST_SHOTS"):
        person.page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_cell_of_sql_returns_masked_rows_of_the_own_region(lab: Lab) -> None:
    """`%%sql chinook` works in a fresh notebook; e-mail, phone and fax are masked, rows follow the row scope."""
    output = lab.run("%%sql chinook\nselect firstname, email, phone, fax, country from customer order by customerid")
    expect(output).to_contain_text("l***@surfeu.de")
    expect(output).to_contain_text("Germany")
    text = output.inner_text()
    assert "leonekohler@" not in text
    assert "Brazil" not in text
    assert "mask" in text, "the footer names the masks in force"
    shoot(lab, "lab-sql")


def test_a_function_returns_a_frame(lab: Lab) -> None:
    """`gatebook.query` binds parameters and returns a pandas DataFrame."""
    output = lab.run(
        "import gatebook\n"
        'df = gatebook.query("chinook", "select customerid, country from customer where country = :country",'
        ' country="Germany")\n'
        "print(type(df).__module__.split('.')[0], len(df), set(df.country))"
    )
    expect(output).to_contain_text("pandas 4 {'Germany'}")


def test_a_refused_column_says_which_rule_and_what_to_ask_for(lab: Lab) -> None:
    """`employee.birthdate` is refused with a sentence that names the rule and what to ask for."""
    output = lab.run("%%sql chinook\nselect lastname, birthdate from employee")
    expect(output).to_contain_text("birthdate-people-only")
    expect(output).to_contain_text("membership of the group")
    assert "Traceback" not in output.inner_text()
    shoot(lab, "lab-refused")


def test_a_write_becomes_a_card(lab: Lab) -> None:
    """A write cell shows its change request: the row before and after, its state, and where it is reviewed."""
    output = lab.run(UPDATE)
    expect(output).to_contain_text("1 row would be changed in invoice")
    expect(output).to_contain_text("Ulm")
    expect(output).to_contain_text("waiting", ignore_case=True)
    shoot(lab, "lab-card")
