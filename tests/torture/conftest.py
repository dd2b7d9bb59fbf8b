"""The fixtures of tests/cli, for the big cases."""

from __future__ import annotations

from tests.cli.conftest import cli

__all__ = ["cli"]
