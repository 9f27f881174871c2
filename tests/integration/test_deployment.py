"""The deployment, as far as it can be checked without Docker: its files agree with each other and with us."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from temporalio import workflow
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.worker import Worker

import embedded
from contract import MAIN_QUEUE
from settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests" / "stand_ins" / "compose-spec.json"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = ("migrate", "worker", "web")

each_service = pytest.mark.parametrize("name", SERVICES)
needs_a_server = pytest.mark.skipif(embedded.find_binary() is None, reason="no temporal binary here")


def variables(service: dict[str, Any]) -> dict[str, Any]:
    return service.get("environment") or {}


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)(s|m)", duration)
    assert match, duration
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


def pinned(image: str) -> bool:
    """Whether an image's tag names one release, to the last figure."""
    return bool(re.fullmatch(r"[a-z0-9./-]+:(\d+\.\d+|\d+\.\d+\.\d+)(-[a-z0-9-]+)?", image))


# --- docker-compose.yml ------------------------------------------------------------------------


def test_the_schema_is_the_one_its_readme_names() -> None:
    digest = hashlib.sha256(SCHEMA.read_bytes()).hexdigest()
    assert digest in SCHEMA.with_suffix(".README.md").read_text(encoding="utf-8")


def test_compose_follows_the_specification() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    errors = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(COMPOSE)
    ]
    assert errors == []


def test_the_services_are_these() -> None:
    assert set(SERVICES) == {
        *("postgres", "temporal-schema", "temporal", "temporal-tools", "temporal-namespace", "temporal-ui"),
        *OURS,
    }


@each_service
def test_every_image_is_pinned(name: str) -> None:
    assert pinned(SERVICES[name]["image"]), SERVICES[name]["image"]
    assert "auto-setup" not in SERVICES[name]["image"]


def test_the_tools_have_the_servers_version() -> None:
    version = SERVICES["temporal"]["image"].split(":")[1]
    for name in ("temporal-schema", "temporal-tools", "temporal-namespace"):
        assert SERVICES[name]["image"] == f"temporalio/admin-tools:{version}"


@each_service
def test_nothing_is_published_beyond_loopback(name: str) -> None:
    assert "network_mode" not in SERVICES[name]
    for port in SERVICES[name].get("ports", ()):
        assert isinstance(port, str)
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", OURS)
def test_ours_have_the_projects_version(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SERVICES[name]["image"] == f"dunwell:{project['version']}"


def test_the_database_is_not_published() -> None:
    assert "ports" not in SERVICES["postgres"]


@each_service
def test_what_is_waited_for_exists_and_can_come_true(name: str) -> None:
    for other, wish in (SERVICES[name].get("depends_on") or {}).items():
        assert other in SERVICES
        if wish["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if wish["condition"] == "service_completed_successfully":
            assert str(SERVICES[other]["restart"]).startswith("on-failure"), f"{other} never ends"


@each_service
def test_mounted_files_and_volumes_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@each_service
def test_scripts_that_are_run_are_mounted(name: str) -> None:
    for word in SERVICES[name].get("entrypoint", ()):
        if word.startswith("/deploy/"):
            assert (ROOT / word.lstrip("/")).exists()
            assert "./deploy:/deploy:ro" in SERVICES[name]["volumes"]


def test_the_shards_are_set_before_the_first_start() -> None:
    assert variables(SERVICES["temporal"])["NUM_HISTORY_SHARDS"] == "512"


def test_the_dynamic_configuration_is_where_the_server_looks() -> None:
    target = variables(SERVICES["temporal"])["DYNAMIC_CONFIG_FILE_PATH"]
    assert SERVICES["temporal"]["volumes"] == [f"./deploy/temporal.yaml:{target}:ro"]
    assert yaml.safe_load((ROOT / "deploy" / "temporal.yaml").read_text(encoding="utf-8"))


def test_the_database_allows_as_many_connections_as_may_be_opened() -> None:
    # The server's defaults: 20 to the one database and 10 to the other, for each of its four roles.
    allowed = int(SERVICES["postgres"]["command"][-1].removeprefix("max_connections="))
    assert allowed > 4 * (20 + 10) + 100


@pytest.mark.parametrize("name", OURS)
def test_ours_run_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_a_worker_has_time_to_finish_a_charge() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > 60


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_every_setting_can_be_set(name: str) -> None:
    given = {key for key in variables(SERVICES[name]) if key.startswith(PREFIX)}
    assert given == {PREFIX + field.upper() for field in Settings.model_fields}


def test_the_example_names_only_what_is_read() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, flags=re.MULTILINE))
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{([A-Z_]+)", text)) | {
        key for key, value in variables(SERVICES["worker"]).items() if value is None
    }
    assert named <= read
    assert set(re.findall(r"\$\{([A-Z_]+):\?", text)) == set(
        re.findall(r"^([A-Z_]+)=$", ENV_EXAMPLE, re.MULTILINE)
    )


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    defaults = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY)[A-Z_]*):-", text)
    assert defaults == []


def test_the_values_that_compose_sets_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith(PREFIX)]:
        monkeypatch.delenv(key)
    for key, value in variables(SERVICES["worker"]).items():
        if key.startswith(PREFIX) and value is not None:
            default = re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "x" * 32, value)
            monkeypatch.setenv(key, re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", default))
    settings = Settings()
    assert settings.database_url == f"postgresql://dunwell:{'x' * 32}@postgres:5432/dunwell"
    assert settings.host == "0.0.0.0"


# --- Dockerfile --------------------------------------------------------------------------------


def test_base_images_are_pinned() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert images
    assert all(pinned(image) for image in images)
    assert len(set(images)) == 1


def test_what_is_copied_exists_and_is_let_through() -> None:
    let_through = set(
        re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert list(ROOT.glob(source.rstrip("/"))), f"{source} does not exist"
            assert source.rstrip("/") in let_through, f"{source} is ignored"


def test_every_room_is_in_the_image() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    copied = set(re.findall(r"^COPY ([a-z]+)/ ", DOCKERFILE, flags=re.MULTILINE))
    assert rooms <= copied


def test_the_locks_agree() -> None:
    """What is tested is what is shipped."""

    def locked(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9-]+==\S+)", text, flags=re.MULTILINE))

    shipped = locked("requirements.lock")
    assert shipped
    assert shipped <= locked("requirements-dev.lock")


def test_it_does_not_run_as_root() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, flags=re.MULTILINE)
    assert user == [("10001", "10001")]


# --- the scripts, run for real -----------------------------------------------------------------


async def run(*command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    shell = "bash" if "bash" in script.read_text(encoding="utf-8").splitlines()[0] else "sh"
    subprocess.run([shell, "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)


@needs_a_server
@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
async def test_the_namespace_is_made_once_and_its_retention_follows() -> None:
    binary = embedded.find_binary()
    assert binary is not None
    path = f"{binary.parent}:{os.environ['PATH']}"
    async with embedded.run_server(None, ui=False) as server:
        client = await Client.connect(server.address, namespace="dunwell")
        for retention, days in (("30d", 30), ("45d", 45)):
            code, output = await run(
                *("sh", "deploy/create-namespace.sh"),
                PATH=path,
                TEMPORAL_ADDRESS=server.address,
                TEMPORAL_NAMESPACE="dunwell",
                TEMPORAL_RETENTION=retention,
            )
            assert code == 0, output
            described = await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace="dunwell")
            )
            assert described.config.workflow_execution_retention_ttl.ToTimedelta().days == days


@workflow.defn(sandboxed=False)
class Nothing:
    """A workflow for a worker that only has to poll."""

    @workflow.run
    async def run(self) -> None:
        """End at once."""


@needs_a_server
async def test_a_worker_is_healthy_while_it_polls() -> None:
    async with embedded.run_server(None, ui=False) as server:
        check = (sys.executable, "deploy/check_worker.py")
        code, output = await run(*check, TEMPORAL_ADDRESS=server.address)
        assert (code, "no poll of this host" in output) == (1, True), output
        client = await Client.connect(server.address)
        async with Worker(client, task_queue=MAIN_QUEUE, workflows=[Nothing]):
            for _ in range(20):
                code, output = await run(*check, TEMPORAL_ADDRESS=server.address)
                if code == 0:
                    break
        assert (code, output) == (0, "polling\n")
    code, output = await run(*check, TEMPORAL_ADDRESS=server.address)
    assert (code, "does not answer" in output) == (1, True), output
