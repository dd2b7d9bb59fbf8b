"""Properties are tried a little here and leave nothing behind; try more with --hypothesis-profile=thorough."""

from __future__ import annotations

from hypothesis import settings

# Without a deadline: two cores are shared by everything that runs here.
settings.register_profile("quick", max_examples=60, deadline=None, database=None)
settings.register_profile("thorough", max_examples=2000, deadline=None, database=None)
settings.load_profile("quick")
