"""DECA: FLAME codes, wrinkles and light from one photo, with the user's own weights.

Feng et al. 2021, "Learning an animatable detailed 3D face model from in-the-wild images".
"""
