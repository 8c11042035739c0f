"""A worker as a process, for tests: jobs go in over HTTP, and their states come back."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from devbroker import ports
from devbroker.guard import die_with_parent
from jobs.codec import check_options

CHECKOUT = Path(__file__).parent.parent
FINAL = {"done", "failed", "canceled"}
READY_WITHIN_S = 60.0  # it takes two seconds; a loaded machine may take long to start anything
STOP_WITHIN_S = 20.0
ASK_EVERY_S = 0.05
ANSWER_WITHIN_S = 15.0
LOG_TAIL_LINES = 40
# Never by a proxy that the environment names: the worker is on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class JobsWorker:
    """A worker as a process of its own.

    What can be imported in the test can be imported in it. Reruns come at once, unless their
    handler names a backoff or ``JOBS_BACKOFF`` is set.
    """

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        """``settings``: its environment, over the test's own. From ``folder``, too, it imports."""
        port = ports.find_free()
        self.url = f"http://{ports.LOOPBACK}:{port}"
        name = f"test-{secrets.token_hex(4)}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
        self._environ = {
            **clean,
            "JOBS_APP_ID": name,
            "JOBS_TOPIC": name,
            "JOBS_PARTITIONS": "2",
            "JOBS_PORT": str(port),
            "JOBS_BACKOFF": "0",
            "JOBS_GRACE": "1s",
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def submit(self, handler: str, data: Any = None, **options: Any) -> str:
        """Submit a job; its id.

        Args:
            options: ``timeout``, ``ttl``, ``delay``, ``run_at`` as on the wire.

        Raises:
            AssertionError: it is refused; the text is the problem that the worker names.
            TypeError: there is no such option.
        """
        check_options(options)
        request = {"handler": handler, "data": data, **options}
        return str(self._call("POST", "/job", request)["id"])

    def status(self, id: str) -> dict[str, Any]:
        """All that is known of a job, as ``GET /job/{id}/status`` tells it.

        Raises:
            AssertionError: there is no such job.
        """
        return self._call("GET", f"/job/{id}/status")

    def wait(self, id: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a job is done, failed or canceled; its status.

        Raises:
            AssertionError: it isn't within ``timeout_s``, or the worker has ended.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.status(id)
            if job["status"] in FINAL:
                return job
            if time.monotonic() > deadline:
                raise AssertionError(f"job {id} isn't final after {timeout_s:g}s: {job}")
            time.sleep(ASK_EVERY_S)

    def run(self, handler: str, data: Any = None, **options: Any) -> dict[str, Any]:
        """``submit`` and ``wait``."""
        return self.wait(self.submit(handler, data, **options))

    def cancel(self, id: str) -> dict[str, Any]:
        """Cancel a job; the answer."""
        return self._call("POST", f"/job/{id}/cancel")

    def list(self, **filters: str) -> list[dict[str, Any]]:
        """The jobs that ``GET /job/all`` lists.

        Args:
            filters: ``status``, ``handler``, ``limit`` as there.
        """
        query = urllib.parse.urlencode(filters)
        return list(self._call("GET", f"/job/all?{query}")["jobs"])

    def log(self) -> str:
        """What the worker has said so far."""
        if self._log is None:
            return ""
        # pread: the file's position belongs to the worker, which is writing there.
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def __enter__(self) -> JobsWorker:
        self._log = tempfile.TemporaryFile(prefix="jobs-worker-")
        self._process = subprocess.Popen(
            [sys.executable, "app.py"],
            # As in the image. A user's folder may have an `app.py` that would be taken for ours.
            cwd=CHECKOUT,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # A pytest that is killed leaves no worker behind.
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
        try:
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _open(f"{self.url}/readyz", timeout=ANSWER_WITHIN_S).close()
                return
            self._check_alive()
            time.sleep(ASK_EVERY_S)
        raise AssertionError(f"the worker isn't ready after {READY_WITHIN_S:g}s:\n{self._tail()}")

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        try:
            with _open(request, timeout=ANSWER_WITHIN_S) as got:
                return dict(json.load(got))
        except urllib.error.HTTPError as exc:
            with exc:
                said = exc.read().decode(errors="replace")
            raise AssertionError(f"{method} {path} was answered {exc.code}: {said}") from None
        except OSError as exc:
            self._check_alive()
            raise AssertionError(f"{method} {path}: {exc}\n{self._tail()}") from exc

    def _check_alive(self) -> None:
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise AssertionError(f"the worker has ended, exit code {code}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_TAIL_LINES:])
