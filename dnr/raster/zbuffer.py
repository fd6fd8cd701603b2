"""The z-buffer in numba: whole images, or several samples inside marked pixels.

The first pass keeps only 1/z and the face of every sample; the second computes weights and depth
where something was hit. Both evaluate edge functions from row and column directly, never by adding
increments, so a result depends neither on a face's bounding box nor on the number of threads.

Numba's cache watches this file only: functions that call each other stay together.
"""

import math

import numpy as np

from dnr.raster.bands import compiled
from dnr.raster.projection import BEHIND, DEGENERATE


@compiled
def rasterize_rows(first_row, last_row, points, boxes, faces, near, face_id, barycentric, depth):
    """Fill these rows of images of -1 and zeros. Between the passes `depth` holds 1/z, rounded."""
    _find_nearest(first_row, last_row, points, boxes, faces, near, depth, face_id)
    _weigh_corners(first_row, last_row, points, faces, face_id, barycentric, depth)


@compiled
def _find_nearest(first_row, last_row, points, boxes, faces, near, nearest, face_id):
    width = face_id.shape[1]
    for f in range(len(faces)):
        left, right, top, bottom = _face_box(points, boxes, faces, f, near)
        left, right = max(left, 0), min(right, width - 1)
        top, bottom = max(top, first_row), min(bottom, last_row - 1)
        if left > right or top > bottom:
            continue
        determinant, e0, e1, e2 = _face_edges(points, faces, f)
        if determinant == 0.0:
            continue
        over = 1 / determinant
        plane0 = (e0[0] + e1[0] + e2[0]) * over
        plane1 = (e0[1] + e1[1] + e2[1]) * over
        plane2 = (e0[2] + e1[2] + e2[2]) * over
        for i in range(top, bottom + 1):
            row = i + 0.5
            r0 = e0[1] * row + e0[2]
            r1 = e1[1] * row + e1[2]
            r2 = e2[1] * row + e2[2]
            start, stop = left, right
            if stop - start > 3:
                start, stop = _row_span(start, stop, e0[0], r0, e1[0], r1, e2[0], r2)
            over_row = plane1 * row + plane2
            for j in range(start, stop + 1):
                column = j + 0.5
                if (
                    e0[0] * column + r0 >= 0
                    and e1[0] * column + r1 >= 0
                    and e2[0] * column + r2 >= 0
                ):
                    over_depth = plane0 * column + over_row
                    if np.float32(over_depth) > nearest[i, j] and over_depth * near < 1:
                        nearest[i, j] = np.float32(over_depth)
                        face_id[i, j] = f


@compiled
def _weigh_corners(first_row, last_row, points, faces, face_id, barycentric, depth):
    last = -1
    determinant, e0, e1, e2 = 0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    for i in range(first_row, last_row):
        row = i + 0.5
        for j in range(face_id.shape[1]):
            f = face_id[i, j]
            if f < 0:
                continue
            if f != last:
                determinant, e0, e1, e2 = _face_edges(points, faces, f)
                last = f
            column = j + 0.5
            w0 = e0[0] * column + (e0[1] * row + e0[2])
            w1 = e1[0] * column + (e1[1] * row + e1[2])
            w2 = e2[0] * column + (e2[1] * row + e2[2])
            over = 1 / (w0 + w1 + w2)
            barycentric[i, j, 0] = w0 * over
            barycentric[i, j, 1] = w1 * over
            barycentric[i, j, 2] = w2 * over
            depth[i, j] = determinant * over


@compiled
def _face_edges(points, faces, f):
    """|det| and three edge functions that are >= 0 inside; det is 0 for degenerate faces, NaN."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
    bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
    cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
    e0 = (by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx)
    e1 = (cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax)
    e2 = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    determinant = ax * e0[0] + ay * e0[1] + az * e0[2]
    spread_x = abs(ax) + abs(bx) + abs(cx)
    spread_y = abs(ay) + abs(by) + abs(cy)
    spread_z = abs(az) + abs(bz) + abs(cz)
    if not DEGENERATE * (spread_x * spread_y * spread_z) < abs(determinant) < math.inf:
        return 0.0, e0, e1, e2
    if determinant > 0:
        return determinant, e0, e1, e2
    return (
        -determinant,
        (-e0[0], -e0[1], -e0[2]),
        (-e1[0], -e1[1], -e1[2]),
        (-e2[0], -e2[1], -e2[2]),
    )


@compiled
def _face_box(points, boxes, faces, f, near):
    """Columns and rows that may see the face, not yet cut to the image."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    left = min(boxes[a, 0], boxes[b, 0], boxes[c, 0])
    if left == BEHIND:
        return _box_before_near_plane(points, faces, f, near)
    right = max(boxes[a, 1], boxes[b, 1], boxes[c, 1])
    top = min(boxes[a, 2], boxes[b, 2], boxes[c, 2])
    bottom = max(boxes[a, 3], boxes[b, 3], boxes[c, 3])
    return left, right, top, bottom


@compiled
def _box_before_near_plane(points, faces, f, near):
    """Pixels around the part of a face in front of the near plane; empty if there is none."""
    left, right, top, bottom = math.inf, -math.inf, math.inf, -math.inf
    for k in range(3):
        p, q = faces[f, k], faces[f, (k + 1) % 3]
        depth = points[p, 2]
        if depth > near:
            left, right = min(left, points[p, 0] / depth), max(right, points[p, 0] / depth)
            top, bottom = min(top, points[p, 1] / depth), max(bottom, points[p, 1] / depth)
        if (depth > near) != (points[q, 2] > near):
            share = (near - depth) / (points[q, 2] - depth)
            column = (points[p, 0] + share * (points[q, 0] - points[p, 0])) / near
            row = (points[p, 1] + share * (points[q, 1] - points[p, 1])) / near
            left, right = min(left, column), max(right, column)
            top, bottom = min(top, row), max(bottom, row)
    if not (left <= right and top <= bottom):
        return 0, -1, 0, -1
    far_away = 2.0**30  # keeps the conversion to integers defined
    return (
        math.floor(max(left, -far_away)) - 1,
        math.ceil(min(right, far_away)) + 1,
        math.floor(max(top, -far_away)) - 1,
        math.ceil(min(bottom, far_away)) + 1,
    )


@compiled
def _row_span(start, stop, a0, r0, a1, r1, a2, r2):
    """The columns of one row that can pass the edge tests, one pixel wider to be safe."""
    low, high = float(start), float(stop)
    for a, r in ((a0, r0), (a1, r1), (a2, r2)):
        if a > 0:
            low = max(low, -r / a - 1.5)
        elif a < 0:
            high = min(high, -r / a + 0.5)
        elif r < 0:
            return 0, -1
    return (math.ceil(low), math.floor(high)) if low <= high else (0, -1)


@compiled
def sample_rows(
    first_row, last_row, points, boxes, faces, near, supersampling, marked_before,
    marked_column, nearest, face_id, barycentric,
):  # fmt: skip
    """Fill `face_id` [M, S * S] and `barycentric` for the M marked pixels in these rows.

    `marked_before[i, j]` counts the marked pixels that come before (i, j) in reading order, so the
    marked pixels of a piece of a row are found without looking at the others.
    """
    width = marked_before.shape[1] - 1
    for f in range(len(faces)):
        left, right, top, bottom = _face_box(points, boxes, faces, f, near)
        left, right = max(left, 0), min(right, width - 1)
        top, bottom = max(top, first_row), min(bottom, last_row - 1)
        if left > right:
            continue
        for i in range(top, bottom + 1):
            start, stop = marked_before[i, left], marked_before[i, right + 1]
            if start == stop:
                continue
            determinant, e0, e1, e2 = _face_edges(points, faces, f)
            if determinant == 0.0:
                break
            over = 1 / determinant
            plane0 = (e0[0] + e1[0] + e2[0]) * over
            plane1 = (e0[1] + e1[1] + e2[1]) * over
            plane2 = (e0[2] + e1[2] + e2[2]) * over
            for sample in range(supersampling * supersampling):
                row = i + (sample // supersampling + 0.5) / supersampling
                r0 = e0[1] * row + e0[2]
                r1 = e1[1] * row + e1[2]
                r2 = e2[1] * row + e2[2]
                for m in range(start, stop):
                    column = marked_column[m] + (sample % supersampling + 0.5) / supersampling
                    w0, w1, w2 = e0[0] * column + r0, e1[0] * column + r1, e2[0] * column + r2
                    if w0 >= 0 and w1 >= 0 and w2 >= 0:
                        over_depth = plane0 * column + (plane1 * row + plane2)
                        if np.float32(over_depth) > nearest[m, sample] and over_depth * near < 1:
                            nearest[m, sample] = np.float32(over_depth)
                            face_id[m, sample] = f
                            over = 1 / (w0 + w1 + w2)
                            barycentric[m, sample, 0] = w0 * over
                            barycentric[m, sample, 1] = w1 * over
                            barycentric[m, sample, 2] = w2 * over
