"""FLAME, a licensed head model: loaded from the user's own file, never shipped."""
