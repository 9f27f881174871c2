"""One log for everything: an event's name and its ids on each line, readable or JSON, without secrets."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

# Libraries that at DEBUG or INFO write keys, addresses or whole requests, or tell of their own start.
TALKATIVE = (
    "alembic",
    "python_http_client",
    "httpx",
    "httpcore",
    "stripe",
    "urllib3",
    "aiosqlite",
    "sqlalchemy.engine",
    "mail.log",
)
HIDDEN = "[secret]"


class _Hide:
    """Replaces secrets wherever they turn up in a line: in a value, in a message, in a traceback."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
        elif isinstance(value, dict):
            value = {key: self._clean(item) for key, item in value.items()}
        elif isinstance(value, list | tuple):
            value = [self._clean(item) for item in value]
        elif value is not None and not isinstance(value, bool | int | float):
            # A renderer would write it by its repr, where a secret may stand as well.
            shown = str(value) if isinstance(value, BaseException) else repr(value)
            cleaned = self._clean(shown)
            value = cleaned if cleaned != shown else value
        return value


def configure_logs(
    *,
    level: str = "INFO",
    style: str = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send structlog's and everybody else's lines through one formatter.

    ``style`` is ``text``, ``json``, or ``auto``: text on a terminal, JSON elsewhere.
    """
    stream = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if as_text
        else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _temporal_ids],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _Hide(secrets),
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    _quieten_libraries()


def _quieten_libraries() -> None:
    """Keep what libraries write on their own from the terminal, and what would give a secret away."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # uvicorn brings handlers of its own, which would print each line twice.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def _temporal_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Lift the ids that Temporal hides in its records into the line."""
    record = event.get("_record")
    for source, name in (("temporal_workflow", "workflow_id"), ("temporal_activity", "workflow_id")):
        details = getattr(record, source, None)
        if isinstance(details, dict) and details.get(name):
            event["workflow"] = details[name]
    return event


def forward_temporal_lines() -> None:
    """Send the lines of Temporal's core, which would go straight to the terminal, through the same log.

    To be called before the first client is made; a later call changes nothing.
    """
    filter_ = TelemetryFilter(core_level="WARN", other_level="ERROR")
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    telemetry = TelemetryConfig(logging=LoggingConfig(filter=filter_, forwarding=forwarding))
    with contextlib.suppress(RuntimeError):
        Runtime.set_default(Runtime(telemetry=telemetry))
