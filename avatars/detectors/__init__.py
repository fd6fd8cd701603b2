"""Faces found in pictures: several detectors behind one callable (faces.py)."""
