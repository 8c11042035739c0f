"""Runs one command and ends it when whoever started us is gone, by whatever way.

    python -I -S guard.py COMMAND…      with a pipe as standard input

A starter that is killed with SIGKILL can tidy nothing up, so something else has to notice. Three
things are watched, because each alone has a hole:

- the pipe: its writing end is closed by the system when the starter dies, on Linux and on macOS.
  A process that the starter had forked may hold that end open, though;
- our parent's id, which changes when the starter dies, forked children or not;
- on Linux, the command asks the kernel to be killed when *we* die. That signal hangs on the thread
  that started it; ours is the only one, which is why the starter doesn't use it itself.

It is run as a script, outside our package and without site-packages: it starts in milliseconds.
"""

import os
import select
import signal
import subprocess
import sys

WATCH_EVERY_S = 0.2
CANNOT_RUN = 126  # what a shell says of a command that is there but can't be started
PR_SET_PDEATHSIG = 1

asked_to_end: list[int] = []


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """For `preexec_fn`: on Linux, have the kernel send us this signal when our parent dies."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def main(command: list[str], starter: int) -> int:
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        print(f"can't run {command[0]}: {error}", file=sys.stderr)
        return CANNOT_RUN
    while child.poll() is None and not asked_to_end and os.getppid() == starter:
        starter_let_go, _, _ = select.select([sys.stdin], [], [], WATCH_EVERY_S)
        if starter_let_go:
            break
    # It keeps nothing on disk, so there is nothing that a gentler end would save.
    child.kill()
    return child.wait()


def _ask_to_end(signum: int, _frame: object) -> None:
    # Only noted: an exception from here could cut off the very lines that end the command.
    asked_to_end.append(signum)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ask_to_end)
    sys.exit(main(sys.argv[2:], starter=int(sys.argv[1])))
