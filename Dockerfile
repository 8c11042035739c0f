# Two stages: pip, the compiler and what they leave stay in the first.
FROM python:3.13-slim-bookworm AS packages
# Faust has wheels for x86-64 only; on arm64, so on newer Macs too, it is built from source.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes -r requirements.lock

FROM python:3.13-slim-bookworm
# Logs at once, no .pyc beside code that this user can't write to, and reachable from outside.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    JOBS_BIND=0.0.0.0
RUN useradd --system --uid 10001 --home-dir /srv --no-create-home jobs
WORKDIR /srv
COPY --from=packages /venv /venv
# What runs is named in .dockerignore, which lets nothing else in.
COPY . .
# By number, so that an orchestrator can tell that it is not root.
USER 10001
EXPOSE 8080
# Alive, not ready: a worker that is recovering must not be restarted for it. It is asked as the
# settings say, by https too; a port that is given by -p isn't among them, so set JOBS_PORT here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "worker.health"]
# Flags follow the image's name: docker run jobs-on-kafka -t 3000 -twrk 20
ENTRYPOINT ["python", "app.py"]
