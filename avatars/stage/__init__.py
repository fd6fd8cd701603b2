"""The part of a person's own video that an avatar repaints, and what stands still around it."""
