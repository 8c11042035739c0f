"""What each call is for, and the OpenAPI document that is made from it."""

from web.reference.calls import CALLS

__all__ = ["CALLS"]
