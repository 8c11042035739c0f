"""The checker and what records a run share no code with the product, which they judge."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# All that the checkout holds besides tests is the product.
OURS = {
    path.stem
    for path in ROOT.iterdir()
    if not path.name.startswith(".") and (path.suffix == ".py" or (path / "__init__.py").exists())
} - {"tests"}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_list_of_what_is_ours_is_whole() -> None:
    assert {"jobs", "log", "tables", "agents", "web", "settings", "app", "execution"} <= OURS


def test_no_file_of_the_checker_imports_the_product() -> None:
    files = [*HERE.rglob("*.py"), ROOT / "tests" / "harness.py"]
    assert {str(path): imported(path) & OURS for path in files if imported(path) & OURS} == {}


def test_none_is_imported_by_a_detour() -> None:
    code = (
        "import json, sys, tests.faults.checker.__main__, tests.faults.recording, "
        "tests.faults.load, tests.faults.collect; "
        "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert set(json.loads(told.stdout)) & OURS == set()
