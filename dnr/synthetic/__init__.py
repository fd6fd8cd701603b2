"""Captures of generated scenes with exact ground truth; shares no code with the rasterizer.

An analytic ray caster renders solids in closed form. It is slow next to a rasterizer and knows
nothing of triangles, so it can tell whether what is learned on the proxy mesh is right.
"""
