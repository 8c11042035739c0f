"""Commands as one runs them: ``faust -A app …``, in a process of its own."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any

from faust.cli.base import cli

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


def here(*args: str, cluster: Cluster) -> subprocess.CompletedProcess[str]:
    """The same command in this process, for a test that asks very often: a start takes a second,
    and five on a busy machine."""
    flags = ["--kafka", cluster.kafka, "--topic", cluster.jobs, "--app-id", cluster.app_id]
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
    loggers = [logging.getLogger(name) for name in ("aiokafka", "faust", "mode", "asyncio")]
    levels = [logger.level for logger in loggers]
    import_module("app")  # Faust would import it at its first look at the real command line
    code = None
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            cli.main(["-A", "app", *args, *flags], "faust")
    except SystemExit as exc:
        code = exc.code
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    said = []
    for stream in streams:
        stream.flush()
        stream.seek(0)
        said.append(stream.read())
    assert isinstance(code, int), code
    return subprocess.CompletedProcess(args, code, *said)
