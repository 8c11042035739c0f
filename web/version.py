"""Which version this is; the image has no pyproject.toml to ask."""

VERSION = "0.1.0"
