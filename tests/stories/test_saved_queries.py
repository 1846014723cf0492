"""A team's questions: saved once at the portal, run by everybody as themselves, from a page, a notebook or a job.

A real gateway without a Hub, real Chromium, the real client.
"""

from __future__ import annotations

import csv
import io
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.gateway import Gateway, PortalPerson

import gatebook
from gatebook.errors import GatebookError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
TRAP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
REVENUE = """select billingcountry, round(sum(total), 2) as revenue
from invoice
where invoicedate >= :since and total >= :least
group by billingcountry
order by revenue desc"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(
        tmp_path_factory.mktemp("saved"), chinook_template, environment={"GATEBOOK_LIMIT_REQUEST_BURST": "5000"}
    ) as running:
        yield running


@contextmanager
def signed_in(browser: Browser, person: PortalPerson, **more: Any) -> Iterator[Page]:
    """A browser of its own with somebody's session, on the list of saved queries; without scripts."""
    with person.in_browser(browser, **{"java_script_enabled": False, **more}) as page:
        page.goto(f"{person.gateway.url}/saved")
        expect(page.get_by_role("heading", level=1)).to_have_text("Saved queries")
        yield page


def saved(person: PortalPerson, name: str, sql: str, *, seen_by: str = "", edited_by: str = "", **more: str) -> str:
    """Save a query through the forms and share it; its id."""
    fields = {"name": name, "title": f"Title of {name}", "source": "chinook", "sql": sql, "do": "save", **more}
    answer = person.press("/saved", **fields)
    assert answer.status_code == 303, answer.text
    query_id = answer.headers["location"].split("/")[-1].split("?")[0]
    if seen_by or edited_by:
        answer = person.press(f"/saved/{query_id}/share", seen_by=seen_by, edited_by=edited_by)
        assert answer.status_code == 303, answer.text
    return query_id


def as_client(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, user: str, *groups: str) -> None:
    """The environment of this person's kernel."""
    monkeypatch.setenv("GATEBOOK_URL", gateway.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", gateway.token(user, *groups))


def book(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    """Events of a kind as an auditor reads them, newest first."""
    headers = {"Authorization": f"Bearer {gateway.token('auditor', 'auditors')}"}
    found = httpx.get(f"{gateway.url}/api/v1/audit/events?kind={kind}&limit=500", headers=headers)
    events: list[dict[str, Any]] = [one.get("content", one) for one in found.json()["events"]]
    return events


# ── the whole way ──


def test_a_query_is_written_once_and_a_team_runs_it(
    gateway: Gateway, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written without scripts at the portal, drawn as bars, shared, run by a colleague, and from a notebook."""
    with gateway.person("ada", "analysts", "finance") as ada, signed_in(browser, ada) as page:
        page.get_by_role("link", name="Save a new query").click()
        page.get_by_label("Name").fill("revenue_by_country")
        page.get_by_label("Title", exact=True).fill("Revenue by country")
        page.get_by_label("Statement").fill(REVENUE)
        page.get_by_role("button", name="Show its parameters").click()
        since, least = (page.get_by_role("group", name=f"Parameter {name}") for name in ("since", "least"))
        since.get_by_label("It takes").select_option("Date")
        since.get_by_label("Title").fill("Invoices since")
        since.get_by_label("Default").fill("2009-01-01")
        least.get_by_label("It takes").select_option("Number")
        least.get_by_label("Smallest number").fill("0")
        page.get_by_label("Draw the result").select_option("As bars, and a table")
        page.get_by_label("Column for the labels").fill("billingcountry")
        page.get_by_label("Column for the values").fill("revenue")
        page.get_by_label("Note").fill("asked for by finance")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("nobody else sees it until you share it")
        expect(page.get_by_role("heading", level=1)).to_have_text("Revenue by country")
        address = page.url.split("?")[0]
        page.get_by_role("link", name="Share or delete").click()
        page.get_by_label("Who may read and run it").fill("analysts, reviewers")
        page.get_by_role("button", name="Share").click()
        expect(page.get_by_role("status")).to_contain_text("analysts, reviewers")
    with gateway.person("rita", "reviewers") as rita, signed_in(browser, rita) as page:
        page.get_by_label("Search saved queries").fill("revenue")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Revenue by country").click()
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("alert")).to_contain_text("least is missing")
        page.get_by_label("Least").fill("5")
        page.get_by_role("button", name="Run").click()
        everybody = gateway.rows(
            "select billingcountry, round(sum(total), 2) from invoice where total >= 5 group by 1 order by 2 desc"
        )
        expect(page.get_by_role("heading", name=f"{len(everybody)} rows")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("Bar chart of revenue by billingcountry"))).to_be_visible()
        rows = page.get_by_role("region", name="Rows of the result").get_by_role("row")
        assert rows.nth(1).get_by_role("cell").all_inner_texts() == [everybody[0][0], f"{everybody[0][1]:g}"]
        assert page.get_by_label("Least").input_value() == "5"
        assert not page.get_by_role("link", name="Edit").is_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all rows as CSV").click()
        assert download.value.suggested_filename == "revenue_by_country.csv"
        text = download.value.path().read_text("utf-8-sig")
        assert len(list(csv.reader(io.StringIO(text)))) == len(everybody) + 1
    as_client(gateway, monkeypatch, "bob", "analysts")
    [listed] = [one for one in gatebook.saved_queries("revenue country") if one.author == "ada"]
    assert (listed.name, listed.version, listed.url) == ("revenue_by_country", 1, address)
    assert listed.params["required"] == ["least"]
    frame = gatebook.saved("revenue_by_country", least=5)
    same = gatebook.query("chinook", REVENUE, since="2009-01-01", least=5)
    assert frame.equals(same)
    assert set(frame["billingcountry"]) <= {"Germany", "Austria", "Switzerland"}
    named = "ada/revenue_by_country"
    ran = [one for one in book(gateway, "query.intent") if one.get("saved", {}).get("name") == named]
    assert {one["principal"] for one in ran} == {"user:rita", "user:bob"}
    assert {one["saved"]["version"] for one in ran} == {"1"}
    [written] = [one for one in book(gateway, "saved.written") if one["saved"]["name"] == named]
    assert written["reason"] == "asked for by finance"


def test_an_edit_is_a_new_version_and_an_old_one_comes_back(
    gateway: Gateway, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor changes the text, whoever names a version keeps it, and the author takes the change back."""
    with gateway.person("ada", "analysts") as ada:
        query_id = saved(
            ada, "genres", "select name from genre order by name", seen_by="analysts", edited_by="reviewers"
        )
        as_client(gateway, monkeypatch, "bob", "analysts")
        first = gatebook.saved("genres")
        with gateway.person("rita", "reviewers") as rita, signed_in(browser, rita) as page:
            page.goto(f"{gateway.url}/saved/{query_id}")
            assert not page.get_by_role("link", name="Share or delete").is_visible()
            page.get_by_role("link", name="Edit").click()
            page.get_by_label("Statement").fill("select count(*) as genres from genre")
            page.get_by_label("Note").fill("only how many")
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("status")).to_contain_text("version 2 is saved", ignore_case=True)
        assert list(gatebook.saved("genres").columns) == ["genres"]
        assert gatebook.saved("ada/genres", version=1).equals(first)
        with signed_in(browser, ada) as page:
            page.goto(f"{gateway.url}/saved/{query_id}/history")
            page.get_by_role("link", name="Version 1").click()
            expect(page.get_by_text("This is an old version.")).to_be_visible()
            page.get_by_role("button", name="Run").click()
            expect(page.get_by_role("heading", name=f"{len(first)} rows")).to_be_visible()
            page.goto(f"{gateway.url}/saved/{query_id}/history")
            page.get_by_role("button", name="Bring back version 1").click()
            expect(page.get_by_role("status")).to_contain_text("version 3 is saved", ignore_case=True)
        assert gatebook.saved("genres").equals(first)
        stale = ada.press(f"/saved/{query_id}/edit", title="T", source="chinook", sql="select 1 as x", based_on="1")
        assert stale.status_code == 409
        assert "somebody saved another version meanwhile" in stale.text.lower()
        gone = ada.press(f"/saved/{query_id}/delete")
        assert gone.status_code == 303
        assert "The query is deleted" in ada.get(gone.headers["location"]).text
        assert ada.get(f"/saved/{query_id}").status_code == 404
    with pytest.raises(GatebookError, match="no saved query"):
        gatebook.saved("genres")
    with gateway.person("auditor", "auditors") as auditor:
        kept = auditor.get(f"/saved/{query_id}/history")
        assert "only how many" in kept.text
        assert "was deleted on" in kept.text
        assert auditor.press(f"/saved/{query_id}/result").status_code == 404


def test_a_job_runs_it_with_its_own_grants(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared with the job by name; the job reads the columns that it may read, and no others."""
    with gateway.person("ada", "reviewers") as ada:
        saved(ada, "nightly_total", "select sum(total) as total from invoice", seen_by="job:nightly_revenue")
        saved(ada, "nightly_city", "select billingcity from invoice", seen_by="job:nightly_revenue")
        saved(ada, "nightly_not", "select 1 as one from invoice", seen_by="analysts")
    analyst = {"Authorization": f"Bearer {gateway.token('analyst', 'analysts')}"}
    worker = {"Authorization": f"Bearer {gateway.command('token', 'issue', '--service', 'worker')}"}
    started = httpx.post(f"{gateway.url}/api/v1/jobs/nightly_revenue/runs", json={"parameters": {}}, headers=analyst)
    assert started.status_code == 201, started.text
    claimed = httpx.post(f"{gateway.url}/api/v1/runs/claim", headers=worker).json()
    monkeypatch.setenv("GATEBOOK_URL", gateway.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", claimed["token"])
    assert {one.name for one in gatebook.saved_queries()} == {"nightly_total", "nightly_city"}
    [(total,)] = gateway.rows("select sum(total) from invoice")
    assert float(gatebook.saved("ada/nightly_total")["total"][0]) == pytest.approx(float(total))
    with pytest.raises(GatebookError):
        gatebook.saved("ada/nightly_city")
    with pytest.raises(GatebookError, match="no saved query"):
        gatebook.saved("ada/nightly_not")
    with pytest.raises(GatebookError, match="says whose query it runs"):
        gatebook.saved("nightly_total")
    [ran] = [one for one in book(gateway, "query.intent") if one["principal"] == "job:nightly_revenue"]
    assert ran["saved"]["name"] == "ada/nightly_total"
    assert ran["run"] == claimed["run"]["id"]


# ── attacks ──


def test_what_a_privileged_author_shares_shows_nobody_more(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reviewer sees the customers of every country, an analyst those of three: page, file and notebook agree."""
    with gateway.person("rita", "reviewers", "privacy") as rita:
        query_id = saved(rita, "everybody", "select country, email from customer", seen_by="analysts")
    mine = gateway.rows("select country from customer where country in ('Germany', 'Austria', 'Switzerland')")
    emails = {email for (email,) in gateway.rows("select email from customer")}
    with gateway.person("bob", "analysts") as bob:
        page = bob.press(f"/saved/{query_id}/result")
        assert page.status_code == 200
        assert f"{len(mine)} rows" in page.text
        assert "Masked for you" in page.text
        assert "You see only some rows of" in page.text
        file = bob.press(f"/saved/{query_id}/download")
        for text in (page.text, file.text):
            assert not [email for email in emails if email in text]
            assert "France" not in text
    as_client(gateway, monkeypatch, "bob", "analysts")
    frame = gatebook.saved("everybody")
    assert len(frame) == len(mine)
    assert emails.isdisjoint(frame["email"])


def test_a_stranger_finds_nothing_of_it_anywhere(gateway: Gateway) -> None:
    """No list, search, page, form, file, API answer or problem has the name or the text; nor does it say it exists."""
    with gateway.person("ada", "analysts") as ada:
        query_id = saved(ada, "secret_project", "select 'codename-zebra' as x from genre", description="zebra")
    with gateway.person("eve", "analysts") as eve:
        headers = {"Authorization": f"Bearer {gateway.token('eve', 'analysts')}"}
        lists = (
            "/saved",
            "/saved?q=zebra",
            "/saved.json",
            "/saved.csv",
            "/catalogue?q=zebra",
            f"/saved/new?from={query_id}",
        )
        answers = [eve.get(path) for path in lists]
        for path in ("", "/history", "/edit", "/share", "?version=1"):
            answers.append(eve.get(f"/saved/{query_id}{path}"))
            assert answers[-1].status_code == 404
            unknown = eve.get(f"/saved/ffffffffffffffff{path}")
            assert unknown.text.replace("ffffffffffffffff", query_id) == answers[-1].text
        for path in ("result", "download", "edit", "share", "delete", "versions/1/restore"):
            answers.append(eve.press(f"/saved/{query_id}/{path}", title="x", source="chinook", sql="select 1 as x"))
            assert answers[-1].status_code == 404, path
        api = f"{gateway.url}/api/v1/saved-queries"
        for reference in (query_id, "secret_project", "secret_project?author=ada"):
            answers.append(httpx.get(f"{api}/{reference}", headers=headers))
            assert answers[-1].status_code == 404
        answers += [
            httpx.get(api, headers=headers),
            httpx.get(f"{api}/{query_id}/versions", headers=headers),
            httpx.post(f"{api}/{query_id}/run", headers=headers, json={}),
        ]
        for answer in answers:
            assert "codename" not in answer.text
            assert "Title of secret_project" not in answer.text
        assert (
            eve.press("/saved", name="secret_project", title="Mine", source="chinook", sql="select 1 as x").status_code
            == 303
        )


def test_nobody_saves_with_a_token_or_from_another_page(gateway: Gateway) -> None:
    """Not a notebook with its reader's token, not a page of elsewhere with its reader's cookie."""
    token = {"Authorization": f"Bearer {gateway.token('ada', 'analysts')}"}
    body = {"name": "forged", "title": "Forged", "source": "chinook", "sql": "select 1 as x"}
    for path in ("/api/v1/saved-queries", "/api/v1/saved-queries/forged"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert httpx.request(method, gateway.url + path, json=body, headers=token).status_code in {404, 405}
    assert httpx.post(f"{gateway.url}/saved", data=body, headers=token).status_code == 403
    with gateway.person("ada", "analysts") as ada:
        query_id = saved(ada, "trusted", "select 1 as x", seen_by="analysts")
        for path in ("", f"/{query_id}/edit", f"/{query_id}/share", f"/{query_id}/delete", f"/{query_id}/result"):
            for more in ({"origin": "http://evil.example"}, {"origin": None}, {"xsrf": "guessed"}):
                assert ada.press(f"/saved{path}", **body, **more).status_code == 403  # type: ignore[arg-type]
        assert ada.get(f"/saved/{query_id}/result").status_code in {404, 405}
        assert [one["version"] for one in ada.get("/saved.json?q=trusted").json()["saved_queries"]] == [1]
        assert "forged" not in ada.get("/saved.json").text.lower()


def test_a_write_is_refused_at_the_form(gateway: Gateway) -> None:
    """With a sentence beside the statement, and what was typed still there."""
    with gateway.person("ada", "analysts") as ada:
        for sql in ("update invoice set total = 0", "delete from genre", "show tables", "drop table genre"):
            answer = ada.press("/saved", name="w", title="Write", source="chinook", sql=sql)
            assert answer.status_code == 400
            assert "only reads are saved" in answer.text.lower()
            assert sql in answer.text
        assert [one["principal"] for one in book(gateway, "saved.refused")][:4] == ["user:ada"] * 4
        before = gateway.rows("select sum(total) from invoice")
        assert (
            ada.press(
                "/saved", name="w", title="W", source="chinook", sql="select 1 as x; delete from genre"
            ).status_code
            == 400
        )
    assert gateway.rows("select sum(total) from invoice") == before


def test_values_are_bound_and_texts_are_texts(gateway: Gateway, browser: Browser) -> None:
    """Quotes end no string, markup in titles, values, labels and rows is shown and never run, formulas stay texts."""
    with gateway.person("mal", "analysts") as mal:
        query_id = saved(
            mal,
            "traps",
            "select :word as word, 1 as n from genre limit 2",
            title=TRAP,
            description=TRAP,
            note=TRAP,
            chart="bar",
            chart_x="word",
            chart_y="n",
            **{"p-word-kind": "text", "p-word-title": TRAP, "p-word-default": TRAP},
        )
        for value in ("x' union select email from customer --", "=1+1", TRAP):
            file = mal.press(f"/saved/{query_id}/download", **{"p-word": value})
            rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
            assert rows[1:] == [[f"'{value}" if value.startswith("=") else value, "1"]] * 2
        with signed_in(browser, mal, java_script_enabled=True) as page:
            page.goto(f"{gateway.url}/saved/{query_id}")
            page.get_by_role("button", name="Run").click()
            expect(page.get_by_role("heading", name="2 rows")).to_be_visible()
            for path in ("", "/history", "/edit", "/share"):
                page.goto(f"{gateway.url}/saved/{query_id}{path}")
                assert "owned" not in page.title() or TRAP in page.title()
                assert page.locator("img[src='x']").count() == 0
            page.goto(f"{gateway.url}/saved")
            assert page.locator("img[src='x']").count() == 0


def test_a_version_runs_with_its_own_parameters_alone(gateway: Gateway) -> None:
    """A form of the first version, sent after the second was saved, runs the first text with the first parameters."""
    with gateway.person("ada", "analysts") as ada:
        first = {"p-a-kind": "integer", "p-a-default": "1"}
        query_id = saved(ada, "two_ways", "select :a as first_way", **first)
        second = {"p-b-kind": "text", "p-b-default": "two"}
        edit = ada.press(
            f"/saved/{query_id}/edit",
            title="T",
            source="chinook",
            sql="select :b as second_way",
            based_on="1",
            **second,
        )
        assert edit.status_code == 303, edit.text
        old = ada.press(f"/saved/{query_id}/result", version="1", **{"p-a": "7", "p-b": "no"})
        assert "first_way" in old.text
        assert "<bdi>7</bdi>" in old.text
        refused = ada.press(f"/saved/{query_id}/result", version="1", **{"p-a": "two"})
        assert refused.status_code == 422
        assert "is a whole number" in refused.text
        assert ada.press(f"/saved/{query_id}/result", version="3").status_code == 404


# ── pages ──


def test_a_large_result_shows_its_beginning_and_downloads_whole(gateway: Gateway) -> None:
    """Two hundred rows and a sentence on the page; the file has all, and the book says that the first was enough."""
    with gateway.person("ada", "analysts") as ada:
        query_id = saved(ada, "tracks", "select trackid, name, milliseconds from track order by trackid")
        page = ada.press(f"/saved/{query_id}/result")
        assert "The first 200 rows" in page.text
        assert "There are more rows than these." in page.text
        assert page.text.count("<tr>") == 201
        file = ada.press(f"/saved/{query_id}/download")
        [(count,)] = gateway.rows("select count(*) from track")
        assert len(list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))) == count + 1
        time.sleep(0.3)
        enough = [one for one in book(gateway, "query.outcome") if one.get("detail") == "the first 200 rows were shown"]
        assert [one["outcome"] for one in enough] == ["ok"]


def test_a_small_result_is_there_at_once(gateway: Gateway) -> None:
    """A page answers within a tenth of a second, the forms and the list too."""
    with gateway.person("ada", "analysts") as ada:
        query_id = saved(ada, "quick", "select name from genre order by name")
        xsrf = ada.xsrf
        ada.press(f"/saved/{query_id}/result", xsrf=xsrf)
        for ask in (
            lambda: ada.press(f"/saved/{query_id}/result", xsrf=xsrf),
            lambda: ada.get(f"/saved/{query_id}"),
            lambda: ada.get("/saved"),
            lambda: ada.get(f"/saved/{query_id}/edit"),
        ):
            took = []
            for _ in range(15):
                begun = time.perf_counter()
                assert ask().status_code == 200
                took.append(time.perf_counter() - begun)
            assert min(took) < 0.1


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_pass_axe_and_fit_a_phone(gateway: Gateway, browser: Browser, axe_script: Path, width: int) -> None:
    """The real pages, with a result, in light and dark."""
    wrong: list[str] = []
    with gateway.person("ada", "analysts") as ada:
        name = f"fit_{width}"
        sql = "select name, length(name) as letters from genre where name > :after order by name limit 12"
        more = {
            "p-after-kind": "text",
            "p-after-default": "A",
            "chart": "line",
            "chart_x": "name",
            "chart_y": "letters",
        }
        query_id = saved(ada, name, sql, seen_by="analysts", **more)
        for scheme in ("light", "dark"):
            shape = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "java_script_enabled": True}
            with signed_in(browser, ada, **shape) as page:
                for path in ("", "/history", "/edit", "/share", "/result"):
                    page.goto(f"{gateway.url}/saved/{query_id}{'' if path == '/result' else path}")
                    if path == "/result":
                        page.get_by_role("button", name="Run").click()
                        expect(page.get_by_role("img", name=re.compile("Line chart"))).to_be_visible()
                    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                        wrong.append(f"{path} is wider than {width} px")
                    page.evaluate(axe_script.read_text(encoding="utf-8"))
                    report = page.evaluate("options => axe.run(document, options)", WCAG)
                    wrong += [f"{scheme} {path}: {found['id']}: {found['help']}" for found in report["violations"]]
    assert not wrong, "\n".join(wrong)
