"""A head followed through a video: who it is, where it is, what it does (track.py)."""
