"""One photo is enough: the photo itself is bent by a fitted head (engine.py; needs no weights)."""
