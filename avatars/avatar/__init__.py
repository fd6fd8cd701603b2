"""One person's head as a neural asset: driven by expression, gaze and pose."""
