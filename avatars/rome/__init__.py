"""ROME: a mesh avatar with hair and shoulders from one photo, with the user's own weights.

Khakhulin et al. 2022, "Realistic one-shot mesh-based head avatars".
"""
