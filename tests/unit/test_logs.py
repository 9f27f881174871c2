"""One log for everything: names and ids on each line, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from logs import HIDDEN, TALKATIVE, configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "sk_test_51Nothing"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    names = (*TALKATIVE, "uvicorn", "uvicorn.error", "uvicorn.access")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.configure(**before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def configured(**options: Any) -> io.StringIO:
    stream = io.StringIO()
    configure_logs(**{"stream": stream, "style": "json", "secrets": [SECRET], **options})
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_event_with_its_ids() -> None:
    stream = configured()
    structlog.get_logger().info(
        "case.opened", case="case_1", invoice="in_1", workflow="recovery/x", attempt="a"
    )
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "case.opened",
        "level": "info",
        "case": "case_1",
        "invoice": "in_1",
        "workflow": "recovery/x",
        "attempt": "a",
    }


def test_lines_are_json_except_on_a_terminal() -> None:
    elsewhere = configured(style="auto")
    structlog.get_logger().info("case.opened", case="case_1")
    assert lines(elsewhere)[0]["case"] == "case_1"
    terminal = Terminal()
    configure_logs(stream=terminal, style="auto")
    structlog.get_logger().info("case.opened", case="case_1")
    assert "case.opened" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_hidden_wherever_it_turns_up(style: str) -> None:
    stream = configured(style=style)
    log = structlog.get_logger()
    log.info("stripe.call", key=SECRET)
    sentence = f"calling with {SECRET}"
    log.info(sentence)
    log.info("stripe.call", headers={"Authorization": f"Bearer {SECRET}"}, tried=[SECRET, (SECRET,)])
    logging.getLogger("some.library").warning("request with %s", SECRET)
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count(HIDDEN) == 6


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_in_a_traceback_is_hidden(style: str) -> None:
    stream = configured(style=style)
    try:
        raise RuntimeError(f"refused: {SECRET}")  # noqa: TRY301 -- it is the traceback that counts
    except RuntimeError:
        structlog.get_logger().exception("charge.failed", case="case_1")
        logging.getLogger("some.library").exception("it went wrong")
    text = stream.getvalue()
    assert "RuntimeError" in text
    assert SECRET not in text


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("value", [RuntimeError(f"refused: {SECRET}"), SECRET.encode(), {SECRET}])
def test_a_secret_inside_any_other_value_is_hidden(style: str, value: object) -> None:
    stream = configured(style=style)
    structlog.get_logger().error("charge.failed", error=value)
    assert "charge.failed" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_the_empty_secret_hides_nothing() -> None:
    stream = configured(secrets=[""])
    structlog.get_logger().info("case.opened", case="case_1")
    assert HIDDEN not in stream.getvalue()


def test_temporals_own_lines_carry_the_workflow() -> None:
    stream = configured()
    record = {"temporal_workflow": {"workflow_id": "recovery/sandbox/main/in_1/1", "run_id": "r"}}
    logging.getLogger("temporalio.workflow").warning("task failed", extra=record)
    record = {"temporal_activity": {"workflow_id": "recovery/sandbox/main/in_2/1"}}
    logging.getLogger("temporalio.activity").warning("activity failed", extra=record)
    found = lines(stream)
    assert [line["workflow"] for line in found] == [
        "recovery/sandbox/main/in_1/1",
        "recovery/sandbox/main/in_2/1",
    ]
    assert [line["logger"] for line in found] == ["temporalio.workflow", "temporalio.activity"]
    assert all("timestamp" in line and line["level"] == "warning" for line in found)


def test_ids_that_are_bound_are_on_every_line() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(case="case_1"):
        structlog.get_logger().info("one")
        logging.getLogger("some.library").info("two")
    structlog.get_logger().info("three")
    assert [line.get("case") for line in lines(stream)] == ["case_1", "case_1", None]


def test_the_level_holds_for_everybody() -> None:
    stream = configured(level="WARNING")
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("name", TALKATIVE)
def test_libraries_that_would_write_keys_and_addresses_are_quiet(name: str) -> None:
    stream = configured(level="DEBUG")
    logging.getLogger(name).info("POST https://api.example with everything")
    assert stream.getvalue() == ""


def test_uvicorn_prints_each_line_once() -> None:
    stream = configured()
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(stream))
    configure_logs(stream=stream, style="json")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /pay/a-customers-link")
    assert [line["event"] for line in lines(stream)] == ["started"]
