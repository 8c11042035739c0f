"""HTTP: every worker answers for every job. ``routes`` has each URL, ``api`` what it does."""

from web.parts import Parts
from web.routes import application_options, attach

__all__ = ["Parts", "application_options", "attach"]
