"""The flags of ``python app.py``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import SettingsError, load
from worker.command import flags

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ("", {}),
        ("-p 9000", {"JOBS_PORT": "9000"}),
        ("-p=9000", {"JOBS_PORT": "9000"}),
        ("-t 3000", {"JOBS_TIMEOUT": "3000ms"}),
        ("-kh kafka", {"KAFKA": "kafka"}),
        ("-kh kafka:1234", {"KAFKA": "kafka:1234"}),
        ("--kafka-host kafka:1234", {"KAFKA": "kafka:1234"}),
        ("-twrk 20", {"JOBS_WORKERS": "20"}),
        ("-rwrk 5", {"JOBS_RERUN_WORKERS": "5"}),
        ("-p 1 -p 2", {"JOBS_PORT": "2"}),
        (
            "-p 8080 -t 3000 -kh localhost -twrk 10 -rwrk 10",
            {
                "JOBS_PORT": "8080",
                "JOBS_TIMEOUT": "3000ms",
                "KAFKA": "localhost",
                "JOBS_WORKERS": "10",
                "JOBS_RERUN_WORKERS": "10",
            },
        ),
    ],
)
def test_flags_are_settings(argv: str, found: dict[str, str]) -> None:
    assert flags(argv.split()) == found


def test_the_settings_take_what_the_flags_give() -> None:
    settings = load(flags(["-p", "9000", "-t", "1500", "-kh", "kafka", "-twrk", "2", "-rwrk", "3"]))
    assert (settings.port, settings.timeout_s, settings.kafka) == (9000, 1.5, "kafka:9092")
    assert (settings.workers, settings.rerun_workers) == (2, 3)
    assert load(flags(["-kh", "kafka:1234"])).kafka == "kafka:1234"


def test_an_empty_value_is_none() -> None:
    assert flags(["-kh", "", "-p", ""]) == {}


@pytest.mark.parametrize(
    "argv", ["-t abc", "-t -5", "-t 0", "-t 1.5", "-t ٣", f"-t {'9' * 16}", "-p http", "-kh :"]
)
def test_a_wrong_value_is_passed_on_and_refused_by_the_settings(argv: str) -> None:
    (name,) = found = flags(argv.split())
    with pytest.raises(SettingsError, match=f"^{name}='"):
        load(found)


@pytest.mark.parametrize(
    "argv", ["-x", "-x 5", "--port 1", "9000", "-p", "-p 1 2", "--kafka h", "-tw 5", "-v"]
)
def test_an_unknown_flag_gives_a_usage_line(argv: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        flags(argv.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python app.py ")


@pytest.mark.parametrize("argv", ["-k h", "-r 5", "-rw 5", "-twrk5", "-p9000"])
def test_flags_cannot_be_abbreviated(argv: str) -> None:
    with pytest.raises(SystemExit):
        flags(argv.split())


def test_help_names_each_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        flags(["-h"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert [flag for flag in ("-p", "-t", "-kh", "-twrk", "-rwrk") if f"  {flag}" not in out] == []


def test_a_worker_with_wrong_flags_says_so_and_ends() -> None:
    """The real thing: the program replaces itself by Faust, whose worker reads the settings."""
    script = (
        "import sys; from worker.command import run_with_flags; run_with_flags(sys.argv.pop(1))"
    )
    clean = {k: v for k, v in os.environ.items() if k != "KAFKA" and not k.startswith("JOBS_")}
    ended = subprocess.run(
        [sys.executable, "-c", script, CHECKOUT / "app.py", "-t", "abc", "-p", "0"],
        cwd=CHECKOUT,
        env=clean | {"JOBS_WORKERS": "none", "JOBS_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    names = [line.removeprefix("error: ").partition("=")[0] for line in ended.stderr.splitlines()]
    assert names == ["JOBS_PORT", "JOBS_WORKERS", "JOBS_TIMEOUT"]
    assert "JOBS_PORT='0'" in ended.stderr  # the flag wins over the environment
