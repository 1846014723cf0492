"""What a person sees in a cell, in a real kernel that loads the package by itself."""

import hashlib
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from jupyter_client.manager import start_new_kernel

import gatebook

TABLE = pa.table({"id": pa.array([1, None]), "email": ["a***", "$5 and $6 <b>"]})
MASKED = {
    "masks": [{"column": "email", "mask": "email", "rule": "pii"}],
    "row_filters": [{"table": "customer", "rule": "de"}],
}
SOURCES = {"sources": [{"name": "chinook", "engine": "sqlite", "title": "Chinook", "production": False}]}
CONFIG = Path(gatebook.__file__).parent / "etc" / "ipython_kernel_config.py"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """A running kernel and what its cells put out."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str, cell_id: str | None = None) -> list[Any]:
        """The outputs of one cell; an error is an output too."""
        message = self.client.session.msg("execute_request", {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }, metadata={"cellId": cell_id} if cell_id else {})  # fmt: skip
        self.client.shell_channel.send(message)
        return self.outputs_of(message["header"]["msg_id"])

    def outputs_of(self, message_id: str) -> list[Any]:
        """Everything that one execution puts out until it is idle."""
        outputs = []
        while True:
            message = self.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return outputs
            if message["msg_type"] not in {"status", "execute_input"}:
                outputs.append((message["msg_type"], message["content"]))

    def value(self, expression: Any) -> Any:
        """The text of an expression."""
        return self.run(f"print({expression})")[-1][1]["text"].rstrip("\n")


@pytest.fixture
def kernel(gate_server: Any, tmp_path: Any, monkeypatch: Any) -> Any:
    gate_server.on("GET", "/sources", gate_server.said(SOURCES))
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    shutil.copy(CONFIG, profile)
    # A person's own list of extensions must not switch ours off.
    (profile / "ipython_config.py").write_text("c.InteractiveShellApp.extensions = ['storemagic']\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    manager, client = start_new_kernel(kernel_name="python3")
    yield Kernel(manager, client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def html_of(outputs: Any) -> Any:
    return [
        content["data"].get("text/html", "") for kind, content in outputs if kind in {"display_data", "execute_result"}
    ]


def test_a_cell_of_sql_shows_rows_and_what_is_worth_knowing(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE, MASKED))
    assert kernel.value("'pandas' in __import__('sys').modules") == "False"  # a kernel starts without it
    kernel.run("country = 'Ger\\'many'; nothing = None")
    cell = (
        '%%sql chinook --into found --limit 10 --purpose billing --reason "ticket 5"\n'
        "select id, email from customer where country = :country and x is :nothing and y = ':no {country} $country'"
    )
    outputs = kernel.run(cell, cell_id="cell-1")
    (html,) = html_of(outputs)
    assert "2 rows" in html
    assert "masked: email (email)" in html
    assert "only your rows of customer" in html
    assert "book entry 7" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "tex2jax_ignore" in html
    (body,) = gate_server.bodies("/query")
    assert body["sql"] == cell.split("\n", 1)[1]
    assert body["params"] == {"country": "Ger'many", "nothing": None}
    assert (body["limit_rows"], body["purpose"], body["reason"]) == (10, "billing", "ticket 5")
    assert body["provenance"] == {"cell_id": "cell-1", "cell": "sha256:" + hashlib.sha256(cell.encode()).hexdigest()}
    assert kernel.value("found['id'].tolist()") == "[1, <NA>]"


def test_what_the_gate_says_of_a_statement_is_shown_word_for_word(gate_server: Any, kernel: Any) -> None:
    condition = "country in ('Germany', 'Austria', 'Switzerland', 'Liechtenstein', 'Luxembourg')"
    names = ["step", "what", "rules"]
    said = pa.table([["rows", "limit"], [condition, "10"], ["dach", None]], names=names)
    gate_server.on("POST", "/query", gate_server.rows(said))
    ((_, content),) = kernel.run("%%sql chinook\nexplain select * from customer")
    for text in (content["data"]["text/plain"], content["data"]["text/html"]):
        assert "Luxembourg" in text
        assert "NaN" not in text
    assert content["data"]["text/plain"].splitlines()[2] == "limit  10"
    kernel.run("country = 'Austria'")
    kernel.run("%%sql chinook --explain --limit 5\nselect * from customer where country = :country")
    asked = gate_server.bodies("/query")[-1]
    assert asked["sql"] == "explain select * from customer where country = :country"
    assert asked["params"] == {"country": "Austria"}


def test_a_dry_run_shows_what_would_be_done(gate_server: Any, kernel: Any) -> None:
    filed = ("id", "url", "digest")
    draft = {name: value for name, value in gate_server.change().items() if name not in filed}
    gate_server.on("POST", "/query", gate_server.said({**draft, "state": "draft", "audit_index": 12}))
    (html,) = html_of(kernel.run("%%sql chinook --dry-run --into asked\nupdate invoice set total = 1"))
    assert "nothing was filed, and nothing was changed" in html
    assert kernel.value("repr((str(asked.state), asked.id))") == "('draft', '')"
    said = pa.table([["rows"], ["country = 'Germany' " * 9]], names=["step", "what"])
    gate_server.on("POST", "/query", gate_server.rows(said))
    ((_, content),) = kernel.run("%%sql chinook --dry-run\nselect * from customer")
    assert "country = 'Germany' " * 8 in content["data"]["text/plain"]
    bodies = gate_server.bodies("/query")
    assert [(body["sql"], body["dry_run"]) for body in bodies] == [
        ("update invoice set total = 1", True),
        ("select * from customer", True),
    ]


def test_the_line_form_gives_a_frame_and_pastes_nothing_into_the_text(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE))
    kernel.run("secret = 'pasted'")
    kernel.run(
        "def look(lo):\n"
        "    frame = %sql chinook select '{secret}', '$secret' from t where id > :lo\n"
        "    return len(frame)"
    )
    assert kernel.value("look(5)") == "2"
    (body,) = gate_server.bodies("/query")
    assert body["sql"] == "select '{secret}', '$secret' from t where id > :lo"
    assert body["params"] == {"lo": 5}


WRONG_CELLS = (
    ("%%sql chinook\nselect :missing", ("ParameterRefused", "`:missing` has no value", "`missing` first")),
    ("%%sql\nselect 1", ("name a source",)),
    ("%%sql chinook --limit many\nselect 1", ("number of rows",)),
    ("%%sql chinook --into 2x\nselect 1", ("variable",)),
    ("%%sql chinook --frobnicate 1\nselect 1", ("--frobnicate",)),
    ("%%sql chinook --as spark\nselect 1", ("--as spark", "`polars` or `rows`")),
    ("%%sql chinook --dtypes numpy\nselect 1", ("`nullable` or `arrow`",)),
    ("%%sql chinook select\nselect 1", ("not understood",)),
    ("%%sql chinook\n  \n", ("no statement",)),
)


def test_a_cell_that_is_wrong_says_how_and_asks_nobody(gate_server: Any, kernel: Any) -> None:
    for cell, words in WRONG_CELLS:
        text = ANSI.sub("", str(kernel.run(cell)))
        assert all(word in text for word in words), text
    assert gate_server.bodies("/query") == []


def test_a_refusal_is_a_few_sentences_and_no_traceback(gate_server: Any, kernel: Any) -> None:
    refusal = gate_server.problem(
        403,
        "GB-301",
        detail="Column `employee.birthdate` is refused.",
        rule="hr_only",
        ask="Ask hr-owners.",
        reference="41",
    )
    gate_server.on("POST", "/query", refusal)
    for cell in ("%%sql chinook\nselect birthdate from employee", "x = 1\ngatebook.query('chinook', 'select 1')"):
        ((kind, content),) = kernel.run(cell)
        assert kind == "error"
        assert content["ename"] == "AccessRefused"
        lines = ANSI.sub("", "\n".join(content["traceback"])).splitlines()
        assert lines[:4] == [
            "AccessRefused GB-301: Column `employee.birthdate` is refused.",
            "Rule: hr_only.",
            "What to do: ask hr-owners.",
            "Reference: 41.",
        ]
        assert len(lines) <= 5
    assert lines[4] == "At line 2: gatebook.query('chinook', 'select 1')"


def test_the_card_follows_its_request_until_it_is_final(gate_server: Any, kernel: Any) -> None:
    state = {"now": "awaiting_review"}

    def answer(asked: Any) -> Any:
        deadline = time.monotonic() + min(5, float(asked.query.get("wait", 0)))
        while state["now"] == asked.query.get("state") and time.monotonic() < deadline:
            time.sleep(0.02)
        outcome = {"rows_changed": 1, "audit_index": 9, "at": "now"} if state["now"] == "executed" else None
        return gate_server.said(gate_server.change(state=state["now"], outcome=outcome))

    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    gate_server.on("GET", "/changes/chg_1", answer)
    ((kind, content),) = kernel.run("%%sql chinook --into request\nupdate invoice set total = 2.5 where invoiceid = 5")
    assert kind == "display_data"
    assert "Awaiting review" in content["data"]["text/html"]
    assert "1 row of invoice would change" in content["data"]["text/plain"]
    display_id = content["transient"]["display_id"]
    kernel.run("1 + 1")  # the card belongs to its own cell, whatever runs later
    seen = []
    for step in ("approved", "executed"):
        state["now"] = step
        while True:
            message = kernel.client.get_iopub_msg(timeout=20)
            if message["msg_type"] == "update_display_data":
                break
        assert message["content"]["transient"]["display_id"] == display_id
        seen.append(message["content"]["data"]["text/html"])
    assert "Approved" in seen[0]
    assert "1 row changed · book entry 9." in seen[1]
    assert kernel.value("request.state, request.refresh().state") == "awaiting_review executed"
    asked = len(gate_server.asked)
    time.sleep(1.5)
    assert len(gate_server.asked) == asked


def test_a_person_gets_buttons_and_whoever_only_keeps_the_output_does_not(gate_server: Any, kernel: Any) -> None:
    """A front end names the cell that it runs; papermill and nbconvert do not. A page of Voila gets one widget."""
    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    gate_server.on("GET", "/changes/chg_1", gate_server.said(gate_server.change(state="withdrawn")))
    view = "application/vnd.jupyter.widget-view+json"
    cell = "%%sql chinook\nupdate invoice set total = 2.5"

    def displays(cell_id: str | None) -> list[dict[str, Any]]:
        return [content["data"] for kind, content in kernel.run(cell, cell_id) if kind == "display_data"]

    (card,) = displays(None)
    assert view not in card
    card, buttons = displays("cell-1")
    assert view not in card
    assert "Awaiting review" in card["text/html"]
    assert (buttons["text/html"], buttons["text/plain"]) == ("", "")
    assert buttons[view]["model_id"]
    kernel.run("import os; os.environ['VOILA_KERNEL_ID'] = 'k'")
    (page,) = displays(None)
    assert page[view]["model_id"]
    kernel.run("import sys; del os.environ['VOILA_KERNEL_ID']\nfor name in list(sys.modules):\n"
               "    if name.startswith('ipywidgets'): sys.modules[name] = None")  # fmt: skip
    (card,) = displays("cell-1")
    assert view not in card


def test_a_card_that_waits_does_not_keep_the_kernel_from_stopping(gate_server: Any, kernel: Any) -> None:
    def held(_: object) -> Any:
        time.sleep(8)
        return gate_server.said(gate_server.change())

    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    gate_server.on("GET", "/changes/chg_1", held)
    kernel.run("%%sql chinook\nupdate invoice set total = 2.5")
    began = time.monotonic()
    kernel.client.shutdown()
    while kernel.manager.is_alive() and time.monotonic() - began < 7:
        time.sleep(0.05)
    assert not kernel.manager.is_alive()
    assert time.monotonic() - began < 5


def slow(gate_server: Any, batches: int | None, pause_s: float = 0.05) -> Any:
    """An answer of thousands of rows, a thousand at a time; without a number it goes on for ever."""
    batch = pa.table({"id": pa.array(range(1_000))})
    whole = gate_server.stream(pa.concat_tables([batch] * (batches or 1)), ends_properly=batches is not None)
    header = len(gate_server.stream(batch.slice(0, 0), ends_properly=False)) - 8

    def chunks() -> Any:
        yield whole[:header]
        if batches is None:
            while True:
                yield whole[header:-8]
                time.sleep(pause_s)
        for start in range(header, len(whole), 9_000):
            yield whole[start : start + 9_000]
            time.sleep(pause_s)

    return gate_server.reply(media_type="application/vnd.apache.arrow.stream", chunks=chunks())


def test_an_interrupt_hangs_up_so_that_the_statement_is_cancelled(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", slow(gate_server, None))
    kernel.run("import pandas, pyarrow")
    message_id = kernel.client.execute("gatebook.query('chinook', 'select 1')")
    deadline = time.monotonic() + 10
    while not gate_server.bodies("/query") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    kernel.manager.interrupt_kernel()
    outputs = kernel.outputs_of(message_id)
    assert outputs[-1][1]["ename"] == "KeyboardInterrupt"
    assert gate_server.hung_up.wait(5)
    gate_server.on("POST", "/query", gate_server.rows(TABLE))
    assert kernel.value("len(gatebook.query('chinook', 'select 1'))") == "2"


def test_progress_is_told_in_place_and_gives_way_to_the_rows(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", slow(gate_server, 20))
    first, *news = kernel.run("%%sql chinook --progress --into found\nselect id from t")
    assert first[0] == "display_data"
    assert first[1]["data"]["text/plain"] == "waiting for the first rows"
    assert {kind for kind, _ in news} == {"update_display_data"}
    assert {content["transient"]["display_id"] for _, content in news} == {first[1]["transient"]["display_id"]}
    *told, last = news
    assert 1 <= len(told) <= 12
    assert all(re.fullmatch(r"[\d,]+ rows · \d\.\d s", content["data"]["text/plain"]) for _, content in told)
    assert "20,000 rows" in last[1]["data"]["text/html"]
    assert kernel.value("len(found)") == "20000"


def test_an_interrupt_while_progress_is_told_leaves_nothing_behind(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", slow(gate_server, None))
    kernel.run("import pandas, pyarrow")
    message_id = kernel.client.execute("%%sql chinook --progress --into found\nselect id from t")
    while True:
        message = kernel.client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "update_display_data":
            break
    kernel.manager.interrupt_kernel()
    outputs = kernel.outputs_of(message_id)
    assert outputs[-1][1]["ename"] == "KeyboardInterrupt"
    said = [content["data"]["text/plain"] for kind, content in outputs if kind == "update_display_data"]
    assert re.fullmatch(r"interrupted after [\d,]+ rows · .* s; nothing of it is kept", said[-1])
    assert gate_server.hung_up.wait(5)
    assert kernel.value("'found' in globals(), '_sql' in globals()") == "False False"
    gate_server.on("POST", "/query", gate_server.rows(TABLE))
    assert kernel.value("len(gatebook.query('chinook', 'select 1'))") == "2"


def test_a_refusal_and_a_write_end_the_line(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", gate_server.problem(403, "GB-301", detail="No."))
    outputs = kernel.run("%%sql chinook --progress\nselect 1")
    assert [kind for kind, _ in outputs] == ["display_data", "update_display_data", "error"]
    assert "stopped after 0 rows" in outputs[1][1]["data"]["text/plain"]
    gate_server.on("POST", "/query", gate_server.said({"kind": "outcome", "rows_changed": 2, "audit_index": 9}))
    _, ended, shown = kernel.run("%%sql chinook --progress\ninsert into t values (1)")
    assert ended[1]["data"]["text/plain"].startswith("answered after")
    assert "rows_changed=2" in shown[1]["data"]["text/plain"]


def test_a_cell_keeps_its_rows_as_they_are_asked_for(gate_server: Any, kernel: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE, MASKED))
    for options, kind in (
        ("--as pandas --dtypes arrow", "DataFrame"),
        ("--as arrow", "Table"),
        ("--as rows", "Rows"),
    ):
        (html,) = html_of(kernel.run(f"%%sql chinook {options} --into kept\nselect id, email from customer"))
        assert "2 rows" in html
        assert "masked: email (email)" in html
        assert kernel.value("type(kept).__name__") == kind
        if "dtypes" in options:
            assert kernel.value("kept.dtypes['id']") == "int64[pyarrow]"
    kernel.run("kept = %sql chinook --as rows select 1")
    assert kernel.value("len(kept.arrow())") == "2"
    (html,) = html_of(kernel.run("%%sql chinook --as arrow\nshow tables"))
    assert "2 rows" in html
    asked = len(gate_server.bodies("/query"))
    kernel.run("import importlib.util; importlib.util.find_spec = lambda name: None")
    text = ANSI.sub("", str(kernel.run("%%sql chinook --as polars\nselect 1")))
    assert "LibraryMissing GB-906" in text
    assert "pip install polars" in text
    assert len(gate_server.bodies("/query")) == asked  # nothing was sent


def test_who_am_i_and_what_is_open_to_me(gate_server: Any, kernel: Any) -> None:
    me = {
        "name": "analyst",
        "kind": "user",
        "groups": ["analysts"],
        "sources": ["chinook"],
        "actions": ["refund_invoice"],
    }
    gate_server.on("GET", "/me", gate_server.said(me))
    gate_server.on("GET", "/changes", gate_server.said({"changes": [gate_server.change()]}))
    ((_, content),) = kernel.run("%gatebook")
    text = content["data"]["text/plain"]
    for words in ("user analyst, in analysts", "source chinook (sqlite)", "action refund_invoice", "[awaiting review]"):
        assert words in text


def test_names_of_tables_and_columns_are_completed_in_sql_only(gate_server: Any, kernel: Any) -> None:
    schema = {
        "source": "chinook",
        "version": "v1",
        "tables": [
            {"name": "customer", "columns": [{"name": "country", "type": "text"}, {"name": "email", "type": "text"}]},
            {"name": "invoice", "columns": [{"name": "total", "type": "numeric"}]},
        ],
    }
    gate_server.on("GET", "/sources/chinook/schema", gate_server.said(schema))

    def completed(code: Any) -> Any:
        return kernel.client.complete(code, reply=True, timeout=20)["content"]["matches"]

    assert completed("%%sql chinook\nselect * from cu") == ["customer"]
    assert completed("%%sql chinook\nselect c.em") == []
    assert completed("%%sql chinook\nselect * from customer c where c.") == ["country", "email"]
    assert completed("%%sql chinook\nselect * from customer where co") == ["country"]
    assert "customer" not in completed("cu")
    assert len([one for one in gate_server.asked if one.path.endswith("schema")]) == 1
