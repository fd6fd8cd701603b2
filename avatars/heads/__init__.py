"""Parametric heads behind one interface (head.py)."""
