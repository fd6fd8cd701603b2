"""Closed forms of the solids: where a ray meets them, and how charts are laid on them.

All solids live in unit coordinates: sphere of radius 1, box [-1, 1]^3, cylinder of radius 1 with
z in [-1, 1] and its two lids, disc of radius 1 in the plane z = 0. A chart maps (s, t) in
[0, 1]^2 onto one side of a solid so that the directions of s, t and the outward normal are
right-handed: a texture on it is not mirrored when seen from outside.
"""

from __future__ import annotations

import math

import numpy as np

from dnr.synthetic.vectors import Vector, kernel

SPHERE, BOX, CYLINDER, DISC = 0, 1, 2, 3
NUM_CHARTS = {SPHERE: 6, BOX: 6, CYLINDER: 3, DISC: 1}
NOTHING = np.inf

# Sides of the cube in the order +x -x +y -y +z -z: outward normal, direction of s, direction of t.
SIDE = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64
)
ALONG_S = np.array(
    [[0, 1, 0], [0, -1, 0], [-1, 0, 0], [1, 0, 0], [1, 0, 0], [-1, 0, 0]], dtype=np.float64
)
ALONG_T = np.array(
    [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]], dtype=np.float64
)
QUARTER = math.pi / 4


@kernel
def intersect(kind: float, origin: Vector, direction: Vector) -> float:
    """The smallest positive ray parameter on the solid, or NOTHING; the ray may start inside."""
    ox, oy, oz = origin
    dx, dy, dz = direction
    if kind == BOX:
        near, far = -np.inf, np.inf
        for o, d in ((ox, dx), (oy, dy), (oz, dz)):
            if d == 0.0:
                if abs(o) > 1.0:
                    return NOTHING
            else:
                first, second = (-1.0 - o) / d, (1.0 - o) / d
                near = max(near, min(first, second))
                far = min(far, max(first, second))
        if near > far or far <= 0.0:
            return NOTHING
        return near if near > 0.0 else far
    if kind == DISC:
        if dz == 0.0:
            return NOTHING
        t = -oz / dz
        x, y = ox + t * dx, oy + t * dy
        return t if t > 0.0 and x * x + y * y <= 1.0 else NOTHING
    height = 1.0 if kind == SPHERE else 0.0  # the cylinder's wall ignores z
    a = dx * dx + dy * dy + height * dz * dz
    b = ox * dx + oy * dy + height * oz * dz
    c = ox * ox + oy * oy + height * oz * oz - 1.0
    near, far = -np.inf, np.inf
    if a > 0.0:
        root = b * b - a * c
        if root < 0.0:
            return NOTHING
        root = math.sqrt(root)
        near, far = (-b - root) / a, (-b + root) / a
    elif c > 0.0:
        return NOTHING
    if kind == CYLINDER:
        if dz == 0.0:
            if abs(oz) > 1.0:
                return NOTHING
        else:
            first, second = (-1.0 - oz) / dz, (1.0 - oz) / dz
            near = max(near, min(first, second))
            far = min(far, max(first, second))
    if near > far or far <= 0.0:
        return NOTHING
    return near if near > 0.0 else far


@kernel
def chart_at(kind: float, point: Vector) -> int:
    """The chart of a point of the surface, or of a direction in which a side faces."""
    x, y, z = point
    if kind == DISC:
        return 0
    if kind == CYLINDER:
        if z * z >= x * x + y * y:
            return 1 if z > 0.0 else 2
        return 0
    ax, ay, az = abs(x), abs(y), abs(z)
    if ax >= ay and ax >= az:
        return 0 if x > 0.0 else 1
    if ay >= az:
        return 2 if y > 0.0 else 3
    return 4 if z > 0.0 else 5


@kernel
def to_chart(kind: float, chart: int, point: Vector) -> tuple[float, float]:
    """(s, t) of a point; continues past [0, 1] for points a little beyond the chart's edge."""
    x, y, z = point
    if kind == DISC or (kind == CYLINDER and chart == 1):
        return 0.5 + 0.5 * x, 0.5 + 0.5 * y
    if kind == CYLINDER:
        if chart == 2:
            return 0.5 - 0.5 * x, 0.5 + 0.5 * y
        return 0.5 + math.atan2(y, x) / (2.0 * math.pi), 0.5 + 0.5 * z
    along_s = x * ALONG_S[chart, 0] + y * ALONG_S[chart, 1] + z * ALONG_S[chart, 2]
    along_t = x * ALONG_T[chart, 0] + y * ALONG_T[chart, 1] + z * ALONG_T[chart, 2]
    if kind == SPHERE:  # equal angles: the texels of one side are nearly equally large
        out = x * SIDE[chart, 0] + y * SIDE[chart, 1] + z * SIDE[chart, 2]
        along_s, along_t = math.atan2(along_s, out) / QUARTER, math.atan2(along_t, out) / QUARTER
    return 0.5 + 0.5 * along_s, 0.5 + 0.5 * along_t


@kernel
def from_chart(kind: float, chart: int, s: float, t: float) -> Vector:
    """The point of the surface at (s, t); corners outside a round chart go to its rim."""
    a, b = 2.0 * s - 1.0, 2.0 * t - 1.0
    if kind == DISC or (kind == CYLINDER and chart > 0):
        radius = math.sqrt(a * a + b * b)
        if radius > 1.0:
            a, b = a / radius, b / radius
        if kind == DISC:
            return a, b, 0.0
        return (a, b, 1.0) if chart == 1 else (-a, b, -1.0)
    if kind == CYLINDER:
        angle = math.pi * a
        return math.cos(angle), math.sin(angle), b
    if kind == SPHERE:
        a, b = math.tan(QUARTER * a), math.tan(QUARTER * b)
    x = SIDE[chart, 0] + a * ALONG_S[chart, 0] + b * ALONG_T[chart, 0]
    y = SIDE[chart, 1] + a * ALONG_S[chart, 1] + b * ALONG_T[chart, 1]
    z = SIDE[chart, 2] + a * ALONG_S[chart, 2] + b * ALONG_T[chart, 2]
    if kind == SPHERE:
        length = math.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
    return x, y, z


@kernel
def outward(kind: float, chart: int, point: Vector) -> Vector:
    """The normal in unit coordinates, of unit length."""
    if kind == SPHERE:
        return point
    if kind == BOX:
        return SIDE[chart, 0], SIDE[chart, 1], SIDE[chart, 2]
    if kind == CYLINDER and chart == 0:
        return point[0], point[1], 0.0
    return 0.0, 0.0, (-1.0 if chart == 2 else 1.0)


@kernel
def surface_points(kind: int, chart: int, st: np.ndarray) -> np.ndarray:
    """Points [N, 3] of one chart at `st` [N, 2]."""
    points = np.empty((len(st), 3))
    for i in range(len(st)):
        x, y, z = from_chart(kind, chart, st[i, 0], st[i, 1])
        points[i, 0], points[i, 1], points[i, 2] = x, y, z
    return points


@kernel
def chart_coordinates(kind: int, charts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(s, t) [N, 2] of `points` [N, 3], each in its own given chart [N]."""
    st = np.empty((len(points), 2))
    for i in range(len(points)):
        s, t = to_chart(kind, charts[i], (points[i, 0], points[i, 1], points[i, 2]))
        st[i, 0], st[i, 1] = s, t
    return st


@kernel
def facing_charts(kind: int, normals: np.ndarray) -> np.ndarray:
    """The chart [N] whose side faces along each of `normals` [N, 3], in unit coordinates."""
    charts = np.empty(len(normals), np.int64)
    for i in range(len(normals)):
        charts[i] = chart_at(kind, (normals[i, 0], normals[i, 1], normals[i, 2]))
    return charts
