"""Numbers that are asked for on a command line, checked: what `argparse` says names the option."""

from __future__ import annotations

import argparse
import math


def count(text: str) -> int:
    """A whole number, not less than 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number, 0 or more")
    return int(text)


def some(text: str) -> int:
    """A whole number, at least 1."""
    if not count(text):
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def more_than_nothing(text: str) -> float:
    """Any number above 0."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number") from None
    if not (number > 0 and math.isfinite(number)):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number
