"""Histories of real runs, kept for each release, and the order of commands in each of them."""

from __future__ import annotations

import base64
import gzip
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = Path(__file__).parent
HISTORIES = FOLDER / "histories"
FINGERPRINTS = FOLDER / "fingerprints.json"
ROOT = FOLDER.parents[1]
COMMAND = ".venv/bin/python -m pytest tests/scenarios --record"
SUFFIX = ".json.gz"

# What a workflow's own code brought about; the rest of a history is the world's doing.
COMMANDS = {
    "EVENT_TYPE_TIMER_STARTED": "timer",
    "EVENT_TYPE_TIMER_CANCELED": "timer-off",
    "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": "upsert",
    "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED": "activity-off",
    "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED": "child",
    "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED": "completed",
    "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED": "failed",
    "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED": "cancelled",
    "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "continued",
    "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED": "update-accepted",
    "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED": "update-completed",
}


def release() -> str:
    """Give the version that histories are recorded for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def save(name: str, histories: Mapping[str, str]) -> None:
    """Keep a timeline's histories, and the fingerprint of the one that is finished."""
    for where, text in histories.items():
        keep(f"{name}.{where}", text)
    known = fingerprints() | {name: fingerprint(histories["finished"])}
    text = json.dumps(dict(sorted(known.items())), indent=1)
    FINGERPRINTS.write_text(f"{text}\n", encoding="utf-8")


def keep(name: str, history: str) -> None:
    """Keep one history of this release."""
    folder = HISTORIES / release()
    folder.mkdir(parents=True, exist_ok=True)
    # No time in the file's head: the same history is the same file.
    packed = gzip.compress(json.dumps(json.loads(history), separators=(",", ":")).encode(), mtime=0)
    (folder / f"{name}{SUFFIX}").write_bytes(packed)


def stored() -> list[Path]:
    """List every history of every release."""
    return sorted(HISTORIES.glob(f"*/*{SUFFIX}"))


def load(path: Path) -> tuple[str, str]:
    """Give a history's workflow id and its JSON."""
    text = gzip.decompress(path.read_bytes()).decode()
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    return started.get("workflowId", path.name), text


def fingerprints() -> dict[str, str]:
    """Give the commands of each timeline as they were recorded."""
    if not FINGERPRINTS.exists():
        return {}
    known: dict[str, str] = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    return known


def fingerprint(history: str) -> str:
    """Give the commands of a history in order, in one line."""
    return " ".join(_commands(json.loads(history)["events"]))


def _commands(events: Iterable[dict[str, Any]]) -> Iterable[str]:
    for event in events:
        kind = event["eventType"]
        if kind in COMMANDS:
            yield COMMANDS[kind]
        elif kind == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED":
            yield event["activityTaskScheduledEventAttributes"]["activityType"]["name"]
        elif kind == "EVENT_TYPE_MARKER_RECORDED":
            yield _marker(event["markerRecordedEventAttributes"])


def _marker(attributes: dict[str, Any]) -> str:
    """Name a marker: a local activity by its type, a patch by its id."""
    for payload in attributes.get("details", {}).get("data", {}).get("payloads", []):
        data = json.loads(base64.b64decode(payload["data"]))
        return f"local:{data.get('activity_type', '?')}"
    for payload in attributes.get("details", {}).get("patch-data", {}).get("payloads", []):
        return f"patch:{json.loads(base64.b64decode(payload['data']))['id']}"
    return str(attributes["markerName"])
