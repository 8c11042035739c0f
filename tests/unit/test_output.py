"""What commands print of anybody's making."""

from __future__ import annotations

import io
import json

from commands.output import Output, flat, json_text, shown

EVIL = "\x1b[2J \x07 \x7f \x9b31m \u2028 \u202e rtl é ☃"


def test_json_has_nothing_that_a_terminal_would_obey() -> None:
    text = json_text({"error": EVIL})
    assert json.loads(text) == {"error": EVIL}, "a program reads the same"
    assert text.isprintable()
    assert "é ☃" in text
    to = io.StringIO()
    out = Output(as_json=True, out=to)
    out.json({"error": EVIL})
    out.json_line({"error": EVIL})
    assert to.getvalue().replace("\n", "").isprintable()


def test_nor_has_text() -> None:
    assert shown(EVIL).isprintable()
    assert flat("one\r\n\ttwo\x00") == "one� two�"
