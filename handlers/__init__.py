"""Job functions that come with the worker; importing this package registers them."""

from handlers import builtin, http

__all__ = ["builtin", "http"]
