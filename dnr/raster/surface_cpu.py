"""Attributes of hit points on processors: one pass in numba, equal to the torch path."""

import math

from dnr.raster.bands import compiled


@compiled
def fill_surface(
    first, last,
    face_id, barycentric, pixel, pixels_per_view, origins, lenses,
    vertices, faces, uvs, uv_faces, normals, normal_faces,
    out_uv, out_position, out_normal, out_view, out_footprint,
):  # fmt: skip
    """Write the five fields for points `first` to `last`; points without a face are left alone."""
    for n in range(first, last):
        f = face_id[n]
        if f < 0:
            continue
        w0, w1, w2 = barycentric[n, 0], barycentric[n, 1], barycentric[n, 2]
        a, b, c = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
        for i in range(2):
            out_uv[n, i] = w0 * uvs[a, i] + w1 * uvs[b, i] + w2 * uvs[c, i]

        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        bx, by, bz = vertices[b, 0], vertices[b, 1], vertices[b, 2]
        cx, cy, cz = vertices[c, 0], vertices[c, 1], vertices[c, 2]
        x = w0 * ax + w1 * bx + w2 * cx
        y = w0 * ay + w1 * by + w2 * cy
        z = w0 * az + w1 * bz + w2 * cz
        out_position[n, 0], out_position[n, 1], out_position[n, 2] = x, y, z

        view = pixel[n] // pixels_per_view
        vx, vy, vz = origins[view, 0] - x, origins[view, 1] - y, origins[view, 2] - z
        distance = math.sqrt(vx * vx + vy * vy + vz * vz)
        over = 1 / distance
        vx, vy, vz = vx * over, vy * over, vz * over
        out_view[n, 0], out_view[n, 1], out_view[n, 2] = vx, vy, vz

        # The face itself decides which side is seen; smooth normals may lean past the rim.
        bx, by, bz, cx, cy, cz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
        gx, gy, gz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        a, b, c = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
        uv_area = abs(
            (uvs[b, 0] - uvs[a, 0]) * (uvs[c, 1] - uvs[a, 1])
            - (uvs[b, 1] - uvs[a, 1]) * (uvs[c, 0] - uvs[a, 0])
        )
        cosine = -(vx * lenses[view, 0] + vy * lenses[view, 1] + vz * lenses[view, 2])
        facing = max(abs(gx * vx + gy * vy + gz * vz), 1e-30)
        area = distance**2 * max(cosine, 0.0) ** 3 * lenses[view, 3] * uv_area / facing
        out_footprint[n, 0] = math.sqrt(min(area, 1.0))
        a, b, c = normal_faces[f, 0], normal_faces[f, 1], normal_faces[f, 2]
        nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
        ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
        nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
        if length < 1e-6:  # opposite normals cancel
            nx, ny, nz = gx, gy, gz
            length = math.sqrt(nx * nx + ny * ny + nz * nz)
        over = 1 / length if gx * vx + gy * vy + gz * vz >= 0 else -1 / length
        out_normal[n, 0], out_normal[n, 1], out_normal[n, 2] = nx * over, ny * over, nz * over
