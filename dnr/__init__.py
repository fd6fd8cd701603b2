"""Deferred neural rendering of any mesh: posed images and a mesh become a neural asset.

Conventions, used everywhere inside and written nowhere else
------------------------------------------------------------
camera axes   OpenCV: x right, y down, z forward; `world_to_camera` matrices
pixels        centres at +0.5; row 0 on top; sizes are `(height, width)`
uv            (0, 0) is the bottom-left corner of the texture, (1, 1) the top-right
colour        RGB, float in [0, 1]
tensors       images `[B, C, H, W]`; per-pixel geometry `[B, H, W, *]`; lists of points `[N, *]`
directions    unit vectors in the object's own frame; `view` points from the surface to the camera

Foreign conventions (OpenGL camera-to-world, pytorch3d NDC, BGR, uint8) are converted inside the
file that touches that library or format.
"""

__version__ = "0.1.0"
