"""Runs the benchmarks that are named, or all, and prints one JSON document.

Usage: python bench/run.py [NAME …] [--database URL] [--cases N] [--rounds N] [--open N] [--samples N]
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The rooms of the project are found from its folder, not from the script's.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from bench.program import main

    sys.exit(main())
