"""Lets Python 3.13 import the stand-in, which is written for 3.14; its files stay as they are.

Two things of 3.14 are made up for: annotations that are not looked at before they are needed, and
``except A, B:`` without brackets.
"""

from __future__ import annotations
import __future__

import importlib.machinery
import importlib.util
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

PACKAGES = frozenset({"seahaven", "seahaven_stripe_world"})
BARE_EXCEPT = re.compile(r"^(?P<head>\s*except\s+)(?P<names>[\w.]+(?:\s*,\s*[\w.]+)+)\s*:", re.MULTILINE)


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module as 3.14 would read it, never from or into a cache of 3.13's own."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = importlib.util.decode_source(self.get_data(path))
        source = BARE_EXCEPT.sub(r"\g<head>(\g<names>):", source)
        flags = __future__.annotations.compiler_flag
        code: CodeType = compile(source, path, "exec", flags, dont_inherit=True)
        return code


class Finder:
    """Hands the stand-in's modules to the loader above."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Do nothing where the interpreter is new enough."""
    if sys.version_info < (3, 14):
        sys.meta_path.insert(0, Finder)
