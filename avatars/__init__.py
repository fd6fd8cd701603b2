"""Heads that can be tracked, driven and rendered: built on `dnr`, which knows nothing of them."""
