"""Writes ``docs/http.md`` anew: ``make docs``."""

import handlers  # noqa: F401 - the document names them
from tests.reference.markdown import PAGE, whole

PAGE.write_text(whole())
