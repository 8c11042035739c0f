"""Every setting of a worker: one row each, read from the environment, checked at once."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jobs.durations import NS_PER_S, parse_duration
from jobs.errors import InvalidDuration


class SettingsError(Exception):
    """One or more settings are wrong; the text has one line for each."""


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(least_s: float, most_s: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            seconds = 0.0 if text == "0" else parse_duration(text) / NS_PER_S
        except InvalidDuration:
            seconds = -1.0
        if not least_s <= seconds <= most_s:
            raise ValueError(
                f"must be a duration such as '3s' or '250ms', from {least_s:g}s to {most_s:g}s"
            )
        return seconds

    return parse


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == "" else parse(text)


def _broker(text: str) -> str:
    """``host:port`` or a list of them; the port is 9092 where none is given."""
    hosts = [part.strip().removeprefix("kafka://") for part in text.split(",")]
    return ",".join(_host_port(host) for host in hosts)


def _host_port(text: str) -> str:
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", text, re.ASCII)
    if match is None or not 1 <= int(match[2] or 9092) <= 65_535:
        raise ValueError("must be host or host:port (or several, with commas between)")
    return f"{match[1]}:{match[2] or 9092}"


def _name(text: str) -> str:
    # Kafka's own rule for topic names, less the length that our suffixes need.
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", text, re.ASCII) or text in (".", ".."):
        raise ValueError("must be 1 to 200 letters, digits, '.', '_' or '-'")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+/?", text):
        raise ValueError("must be http://host:port, as other workers reach this one")
    return text.rstrip("/")


def _modules(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is no module name; give names like 'myapp.jobs,other'")
    return names


def _bind(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,255}", text, re.ASCII):
        raise ValueError("must be an address or a host name, such as 127.0.0.1 or 0.0.0.0")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text

    return parse


def _folder(text: str) -> str:
    if not text.isprintable() or len(text) > 1_000:
        raise ValueError("must be the path of a folder")
    return text


def _file(text: str) -> str:
    try:
        with open(text, "rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ValueError(f"must be a file that this worker may read ({reason})") from None
    return text


def _tokens(text: str) -> tuple[str, ...]:
    tokens = tuple(part.strip() for part in text.split(","))
    for token in tokens:
        # What may stand behind "Bearer" (RFC 6750), and can't be found by trying.
        if not re.fullmatch(r"[A-Za-z0-9._~+/-]{16,500}=*", token, re.ASCII):
            raise ValueError(
                "must be 16 to 500 letters, digits or any of '-._~+/' (openssl rand -hex 32 makes "
                "one), or several, with commas between"
            )
    return tokens


def _secret(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        if not re.fullmatch(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", host, re.ASCII):
            raise ValueError("must be host names, such as 'jobs.example,*.svc'; '*' is any")
    return hosts


def _row(
    name: str, default: str, help: str, parse: Callable[[str], Any], *, secret: bool = False
) -> Any:
    """A secret may come from a file, and is shown nowhere."""
    about = {"name": name, "default": default, "help": help, "parse": parse, "secret": secret}
    return field(metadata=about, repr=not secret)


_PORT = _whole(1, 65_535)
_COUNT = _whole(1, 100_000)
_RATE = _whole(0, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker was told. ``load`` makes it; times end in their unit."""

    kafka: str = _row("KAFKA", "localhost:9092", "the broker, `host:port`, or several", _broker)
    app_id: str = _row(
        "JOBS_APP_ID", "jobs", "consumer group, and first part of the changelog's name", _name
    )
    topic: str = _row(
        "JOBS_TOPIC", "jobs", "the jobs topic; `-retry`, `-cancel` and `-dead` follow it", _name
    )
    partitions: int = _row(
        "JOBS_PARTITIONS", "8", "of topics that don't exist yet", _whole(1, 10_000)
    )
    replication: int = _row(
        "JOBS_REPLICATION",
        "1",
        "of topics that don't exist yet; with 3, two brokers acknowledge each record",
        _whole(1, 1_000),
    )
    port: int = _row("JOBS_PORT", "8080", "HTTP port (flag `-p`)", _PORT)
    bind: str = _row("JOBS_BIND", "127.0.0.1", "address that HTTP listens on", _bind)
    advertised_url: str | None = _row(
        "JOBS_ADVERTISED_URL",
        "",
        "how other workers reach this one; made of bind and port if empty",
        _optional(_url),
    )
    handlers: tuple[str, ...] = _row(
        "JOBS_HANDLERS", "", "modules with job functions, with commas between", _modules
    )
    workers: int = _row("JOBS_WORKERS", "10", "slots for first attempts (flag `-twrk`)", _COUNT)
    rerun_workers: int = _row("JOBS_RERUN_WORKERS", "10", "slots for reruns (flag `-rwrk`)", _COUNT)
    processes: int = _row(
        "JOBS_PROCESSES",
        "0",
        "processes for handlers with `process=True`; 0: as many as processors",
        _whole(0, 1_000),
    )
    max_open: int = _row(
        "JOBS_MAX_OPEN", "1000", "jobs taken from Kafka and ready or running, at most", _COUNT
    )
    timeout_s: float | None = _row(
        "JOBS_TIMEOUT",
        "",
        "ceiling over every attempt (flag `-t`, in ms); none if empty",
        _optional(_seconds(0.001, 604_800)),
    )
    default_timeout_s: float = _row(
        "JOBS_DEFAULT_TIMEOUT",
        "3s",
        "of a job for which neither record nor handler names one",
        _seconds(0.001, 604_800),
    )
    backoff_s: float = _row(
        "JOBS_BACKOFF",
        "1s",
        "before the first rerun at most, then doubled; 0: at once",
        _seconds(0, 86_400),
    )
    backoff_max_s: float = _row(
        "JOBS_BACKOFF_MAX", "60s", "between two attempts at most", _seconds(0, 604_800)
    )
    grace_s: float = _row(
        "JOBS_GRACE",
        "30s",
        "for running attempts after SIGTERM, then they are interrupted",
        _seconds(0, 86_400),
    )
    keep_s: float = _row(
        "JOBS_KEEP", "24h", "how long final jobs can be asked for", _seconds(1, 366 * 86_400)
    )
    history_s: float = _row(
        "JOBS_HISTORY",
        "24h",
        "how long the changelog keeps every transition",
        _seconds(0, 366 * 86_400),
    )
    max_body_bytes: int = _row(
        "JOBS_MAX_BODY", "1000000", "bytes of an HTTP body at most", _whole(100, 100_000_000)
    )
    max_row_bytes: int = _row(
        "JOBS_MAX_ROW", "2000000", "bytes of a row at most", _whole(10_000, 100_000_000)
    )
    max_result_bytes: int = _row(
        "JOBS_MAX_RESULT",
        "250000",
        "bytes of a result; what is longer is cut",
        _whole(100, 100_000_000),
    )
    session_s: float | None = _row(
        "JOBS_SESSION_TIMEOUT",
        "",
        "after which a silent worker is taken for dead, within the broker's limits (6s to 30m on "
        "Apache Kafka); 10s if empty, 4s on the embedded broker",
        _optional(_seconds(1, 1_800)),
    )
    write_timeout_s: float = _row(
        "JOBS_WRITE_TIMEOUT",
        "30s",
        "for Kafka to acknowledge a row; then the partition is retaken",
        _seconds(1, 600),
    )
    store: str = _row(
        "JOBS_STORE",
        "memory",
        "`rocksdb` keeps a copy of the rows on disk, so that a start reads only what is new",
        _one_of("memory", "rocksdb"),
    )
    store_dir: str = _row(
        "JOBS_STORE_DIR",
        "jobs-state",
        "where that copy is, in a folder for each app and port",
        _folder,
    )
    log: str = _row(
        "JOBS_LOG",
        "text",
        "log lines: `text`, or `json` for one object a line",
        _one_of("text", "json"),
    )
    otel: str = _row(
        "JOBS_OTEL",
        "off",
        "`on` sends traces by OpenTelemetry, as its `OTEL_…` settings say",
        _one_of("off", "on"),
    )
    audit_s: float = _row(
        "JOBS_AUDIT",
        "2s",
        "between looks for records that were never delivered",
        _seconds(0.1, 3_600),
    )

    api_tokens: tuple[str, ...] | None = _row(
        "JOBS_API_TOKEN",
        "",
        "asked of every HTTP request but health; several by comma; or `JOBS_API_TOKEN_FILE`",
        _optional(_tokens),
        secret=True,
    )
    allowed_hosts: tuple[str, ...] = _row(
        "JOBS_ALLOWED_HOSTS",
        "",
        "names that HTTP may be asked by, `*.` before one for all below it; `*`: any "
        "([security](security.md))",
        _hosts,
    )
    submit_rate: int = _row(
        "JOBS_SUBMIT_RATE", "0", "jobs a second by `POST /job`, at most; 0: no limit", _RATE
    )
    submit_burst: int = _row(
        "JOBS_SUBMIT_BURST", "0", "of them at once; 0: as many as in a second", _RATE
    )
    tls_cert: str | None = _row(
        "JOBS_TLS_CERT",
        "",
        "PEM file with the certificate (and its chain) for HTTPS",
        _optional(_file),
    )
    tls_key: str | None = _row(
        "JOBS_TLS_KEY", "", "PEM file with its key, without a password", _optional(_file)
    )
    tls_ca: str | None = _row(
        "JOBS_TLS_CA",
        "",
        "PEM file with the CA of the other workers' certificates; the system's if empty",
        _optional(_file),
    )
    kafka_security: str = _row(
        "JOBS_KAFKA_SECURITY",
        "plaintext",
        "`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`, as the broker's listener has it",
        _one_of("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    )
    kafka_ca: str | None = _row(
        "JOBS_KAFKA_CA",
        "",
        "PEM file with the CA of the brokers' certificates; the system's if empty",
        _optional(_file),
    )
    kafka_cert: str | None = _row(
        "JOBS_KAFKA_CERT",
        "",
        "PEM file with this client's certificate, where brokers ask for one",
        _optional(_file),
    )
    kafka_key: str | None = _row(
        "JOBS_KAFKA_KEY", "", "PEM file with its key, without a password", _optional(_file)
    )
    kafka_mechanism: str = _row(
        "JOBS_KAFKA_SASL_MECHANISM",
        "SCRAM-SHA-512",
        "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`",
        _one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    )
    kafka_user: str = _row("JOBS_KAFKA_USER", "", "for SASL", _secret)
    kafka_password: str = _row(
        "JOBS_KAFKA_PASSWORD",
        "",
        "for SASL; or `JOBS_KAFKA_PASSWORD_FILE`",
        _secret,
        secret=True,
    )

    @property
    def max_record_bytes(self) -> int:
        """Of a record that holds the largest row: room for key, headers and batch around it."""
        return self.max_row_bytes + 100_000

    @property
    def max_batch_bytes(self) -> int:
        """Of a batch of records that are written together: no more than a request holds."""
        return min(131_072, self.max_record_bytes)

    @property
    def store_folder(self) -> Path | None:
        """This worker's folder for the copy of its rows; ``None``: it keeps none."""
        if self.store == "memory":
            return None
        return Path(self.store_dir) / f"{self.app_id}-{self.port}"

    @property
    def url(self) -> str:
        """This worker's address, as it tells the others."""
        if self.advertised_url is not None:
            return self.advertised_url
        every = self.bind in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        host = socket.gethostname() if every else self.bind
        scheme = "https" if self.tls_cert else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: one line for each that is wrong.
    """
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for row in fields(Settings):
        name = row.metadata["name"]
        secret = row.metadata["secret"]
        try:
            given = environ.get(name, "").strip() or (secret and _from_file(environ, name))
            text = given or row.metadata["default"]
            values[row.name] = row.metadata["parse"](text)
        except ValueError as exc:
            wrong.append(f"{name}: {exc}" if secret else f"{name}={text!r}: {exc}")
    if not wrong:
        settings = Settings(**values)
        wrong = _together(settings)
        if not wrong:
            return settings
    raise SettingsError("\n".join(wrong))


def _from_file(environ: Mapping[str, str], name: str) -> str:
    """What the file holds that ``NAME_FILE`` names, as secrets are mounted into containers."""
    path = environ.get(f"{name}_FILE", "").strip()
    if not path:
        return ""
    try:
        text = Path(_file(path)).read_text().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{name}_FILE={path!r}: must be a file of text") from None
    except (OSError, ValueError) as exc:
        raise ValueError(f"{name}_FILE={path!r}: {exc}") from None
    if not text:
        # Else a secret that isn't there yet would leave the worker open.
        raise ValueError(f"{name}_FILE={path!r}: the file is empty")
    return text


def load_or_exit(environ: Mapping[str, str]) -> Settings:
    """``load``; wrong values are told in plain lines, with exit code 2."""
    try:
        return load(environ)
    except SettingsError as exc:
        print(f"error: {exc}", file=sys.stderr)
        raise SystemExit(2) from None


def _together(s: Settings) -> list[str]:
    wrong = []
    if s.backoff_max_s < s.backoff_s:
        wrong.append("JOBS_BACKOFF_MAX: must not be less than JOBS_BACKOFF")
    if s.max_result_bytes > s.max_row_bytes // 2:
        wrong.append("JOBS_MAX_RESULT: must be at most half of JOBS_MAX_ROW")
    if s.max_body_bytes > s.max_row_bytes - 5_000:
        wrong.append("JOBS_MAX_BODY: must be at least 5000 less than JOBS_MAX_ROW")
    if (s.tls_cert is None) != (s.tls_key is None):
        wrong.append("JOBS_TLS_CERT and JOBS_TLS_KEY: give both, or neither")
    if (s.kafka_cert is None) != (s.kafka_key is None):
        wrong.append("JOBS_KAFKA_CERT and JOBS_KAFKA_KEY: give both, or neither")
    if not s.kafka_security.endswith("ssl") and (s.kafka_ca or s.kafka_cert):
        wrong.append("JOBS_KAFKA_CA, JOBS_KAFKA_CERT: need JOBS_KAFKA_SECURITY=ssl or sasl_ssl")
    given = {bool(s.kafka_user), bool(s.kafka_password)}
    if given != {s.kafka_security.startswith("sasl")}:
        wrong.append(
            "JOBS_KAFKA_USER, JOBS_KAFKA_PASSWORD: give both with JOBS_KAFKA_SECURITY=sasl_ssl or "
            "sasl_plaintext, and none without"
        )
    return wrong


def table() -> list[tuple[str, str, str]]:
    """Name, default and help of each setting, for the docs."""
    return [
        (row.metadata["name"], row.metadata["default"], row.metadata["help"])
        for row in fields(Settings)
    ]
