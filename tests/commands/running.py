"""Commands as one runs them: ``faust -A app …``, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.harness import ROOT, Cluster, free_port


def faust(
    *args: str,
    cluster: Cluster | None = None,
    stdout: Any = subprocess.PIPE,
    stdin: Any = None,
    **settings: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. With no cluster there is no broker."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
    nobody = {"KAFKA": f"127.0.0.1:{free_port()}"}
    environ = {**clean, **nobody} if cluster is None else cluster.environ()
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", *args],
        cwd=ROOT,
        env={**environ, **settings},
        stdin=subprocess.DEVNULL if stdin is None else None,
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=100,
    )


def refused(*args: str, cluster: Cluster | None = None, **settings: str) -> str:
    """The one line that a command says that can't be done; exit code 2, and nothing else."""
    ended = faust(*args, cluster=cluster, **settings)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    assert ended.stderr.startswith("error: "), ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr.strip().removeprefix("error: ")
