"""Editing: paint, clone, remove and move things in a trained asset; what was captured stays.

A recipe lists operations; a canvas carries them out on the texture's colour; what the camera saw
stays beside the edited run, so that every operation can be undone, reordered and replayed.
"""
