"""``python -m tests.faults.checker DIR``: judge a recorded run; exit code 1 at violations, 2 when
the folder can't be read. ``--json``: for programs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.faults.checker.files import Unreadable, load
from tests.faults.checker.judge import judge


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.checker")
    parser.add_argument("folder", type=Path, help="of a recorded run")
    parser.add_argument("--json", action="store_true", help="the report for programs")
    asked = parser.parse_args()
    try:
        report = judge(load(asked.folder))
    except Unreadable as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    print(json.dumps(report.data(), indent=2) if asked.json else report.text())
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
