"""Does what passes between the worker's processes arrive as it was sent, within the gateway's limits?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.parameterize import parameterize_notebook

from gatebook_hub.gateway.documents import RunErrorDocument
from gatebook_hub.worker.options import Options
from gatebook_hub.worker.orders import MAX_NOTEBOOK, Order, Report, failure, within_limit

VALUES = st.one_of(
    st.text(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False)
)


def order(**more: Any) -> Order:
    """An order."""
    given_ = {
        "run_id": "r-1",
        "job": "daily",
        "notebook": "jobs/daily.ipynb",
        "parameters": {},
        "timeout_s": 60.0,
        "notebooks": Path("/srv/notebooks"),
        "gateway_url": "http://127.0.0.1:1",
        "launcher": None,
        "token": "gbr_secret",
    }
    return Order(**(given_ | more))


@given(st.dictionaries(st.text(), VALUES))
def test_an_order_arrives_as_one_line(parameters: dict[str, Any]) -> None:
    sent = order(parameters=parameters, launcher=Path("/run/launcher.sock"))
    line = sent.to_json()
    assert "\n" not in line
    assert Order.from_json(line) == sent


def test_an_order_does_not_show_its_token() -> None:
    assert "gbr_secret" not in repr(order())


@given(st.text(), st.text(), st.text(), st.none() | st.integers(1, 100))
def test_a_report_arrives_as_one_line(name: str, message: str, source: str, cell: int | None) -> None:
    sent = Report(failure=failure(name, message, cell=cell, source=source), notebook='{"a": "\n"}')
    line = sent.to_json()
    assert "\n" not in line
    assert Report.from_object(json.loads(line)["report"]) == sent


@pytest.mark.parametrize("text", ["x" * 100_000, "\x1b[31mred\x1b[0m\x00", "lone \ud800 surrogate", "ü" * 30_000])
def test_a_failure_is_always_within_the_interface(text: str) -> None:
    """Whatever a kernel calls its error, the gateway takes the report."""
    found = failure(text, text, cell=3, source=text)
    document = RunErrorDocument.model_validate_json(
        json.dumps({"cell": found.cell, "source": found.source, "name": found.name, "message": found.message})
    )
    assert "\x1b" not in document.message
    assert document.message


def test_a_notebook_over_the_limit_is_dropped() -> None:
    assert within_limit("x" * MAX_NOTEBOOK) == "x" * MAX_NOTEBOOK
    assert within_limit("x" * (MAX_NOTEBOOK + 1)) is None
    assert within_limit("ü" * (MAX_NOTEBOOK // 2 + 1)) is None
    assert within_limit("\ud800") == "?"


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1))
def test_a_parameter_is_a_value_in_the_cell_that_sets_it(parameters: dict[str, Any]) -> None:
    """Whoever may start a job chooses values, not code: executing the injected cell gives exactly these."""
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "papermill": {}},
        cells=[nbformat.v4.new_code_cell("a = b = c = None", metadata={"tags": ["parameters"]})],
    )
    injected = parameterize_notebook(notebook, parameters).cells[1]
    scope: dict[str, Any] = {}
    exec(compile(injected.source, "cell", "exec"), {"__builtins__": {}}, scope)
    assert scope == parameters


# ── options ──


def test_options_take_the_tokens_out_of_the_environment() -> None:
    environment = {"JUPYTERHUB_API_TOKEN": "hub", "JPY_API_TOKEN": "old", "GATEBOOK_NOTEBOOKS": "/srv/notebooks"}
    options = Options.read([], environment)
    assert options.token == "hub"
    assert environment == {"GATEBOOK_NOTEBOOKS": "/srv/notebooks"}
    assert "hub" not in repr(options)
    assert options.launcher is None
    assert Options.read([], {"GATEBOOK_WORKER_TOKEN": "own", "JUPYTERHUB_API_TOKEN": "hub"}).token == "own"


def test_without_a_token_there_is_no_worker(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Options.read([], {"GATEBOOK_WORKER_TOKEN": ""})
    assert "GATEBOOK_WORKER_TOKEN" in capsys.readouterr().err
