"""The colour that comes back along one ray, as numba kernels."""

from __future__ import annotations

import math

import numpy as np

from dnr.synthetic.packed import Packed
from dnr.synthetic.primitives import NOTHING, chart_at, intersect, outward, to_chart
from dnr.synthetic.vectors import (
    Vector,
    along,
    dot,
    kernel,
    moved,
    scaled,
    times,
    turned,
    turned_back,
    unit,
)

# Unit wave vectors and phases of the ripples; spread by hand, so that no direction is favoured.
WAVES = (
    (0.91, 0.30, -0.28, 0.3),
    (-0.35, 0.88, 0.32, 1.9),
    (0.25, -0.41, 0.88, 4.1),
    (0.62, 0.55, 0.56, 2.7),
)
Place = tuple[int, int, float, float]  # upper left texel; weights of right and lower ones
ABOVE = 1e-6  # mirrored rays start this far above the surface, in units of the world


@kernel
def nearest(
    solids: np.ndarray, from_world: np.ndarray, origin: Vector, direction: Vector
) -> tuple[float, int]:
    """Distance in units of `direction`'s length and number of the first solid; -1 for none."""
    best, hit = NOTHING, -1
    for p in range(len(solids)):
        start, step = moved(from_world, p, origin), turned(from_world, p, direction)
        t = intersect(solids[p, 0], start, step)
        if t < best:
            best, hit = t, p
    return best, hit


@kernel
def locate(
    solids: np.ndarray, from_world: np.ndarray, p: int, point: Vector
) -> tuple[int, float, float, Vector]:
    """Row of the chart, (s, t) and the normal in the world, of a point of solid `p`."""
    kind, local = solids[p, 0], moved(from_world, p, point)
    chart = chart_at(kind, local)
    s, t = to_chart(kind, chart, local)
    normal = unit(turned_back(from_world, p, outward(kind, chart, local)))
    return int(solids[p, 2]) + chart, s, t, scaled(normal, solids[p, 1])


@kernel
def texel_weights(rectangles: np.ndarray, chart: int, s: float, t: float) -> Place:
    """Upper left texel and the weights of its right and lower neighbours; charts do not mix."""
    left, top = rectangles[chart, 0], rectangles[chart, 1]
    right, bottom = rectangles[chart, 2], rectangles[chart, 3]
    x = min(max(left + s * (right - left) - 0.5, float(left)), right - 1.0)
    y = min(max(bottom - t * (bottom - top) - 0.5, float(top)), bottom - 1.0)
    column, row = min(int(x), right - 2), min(int(y), bottom - 2)
    return row, column, x - column, y - row


@kernel
def blend(image: np.ndarray, place: Place, k: int) -> float:
    """Channel `k` of `image`, bilinearly, at a place that `texel_weights` found."""
    row, column, a, b = place
    upper = image[row, column, k] * (1.0 - a) + image[row, column + 1, k] * a
    lower = image[row + 1, column, k] * (1.0 - a) + image[row + 1, column + 1, k] * a
    return upper * (1.0 - b) + lower * b


@kernel
def rippled(strength: float, frequency: float, point: Vector, normal: Vector) -> Vector:
    """The normal tilted by the tangential gradient of a sum of sines."""
    slope = (0.0, 0.0, 0.0)
    for x, y, z, phase in WAVES:
        wave = (x, y, z)
        slope = along(slope, math.cos(frequency * dot(wave, point) + phase), wave)
    tangential = along(slope, -dot(slope, normal), normal)
    return unit(along(normal, -strength, tangential))


@kernel
def sky_colour(sky: np.ndarray, direction: Vector) -> Vector:
    """What an unhindered ray sees."""
    share = math.sqrt(abs(direction[2]))  # most of the change is near the horizon
    far = 2 if direction[2] > 0.0 else 0
    horizon = (sky[1, 4] * (1.0 - share), sky[1, 5] * (1.0 - share), sky[1, 6] * (1.0 - share))
    colour = along(horizon, share, (sky[far, 4], sky[far, 5], sky[far, 6]))
    for i in range(3, len(sky)):
        cosine = dot(direction, (sky[i, 0], sky[i, 1], sky[i, 2]))
        exponent = sky[i, 3] * (cosine - 1.0)
        if exponent > -12.0:  # what is left out is far below the step of eight bits
            colour = along(colour, math.exp(exponent), (sky[i, 4], sky[i, 5], sky[i, 6]))
    return colour


@kernel
def lit(
    specular: float,
    shininess: float,
    normal: Vector,
    view: Vector,
    to_light: Vector,
    albedo: Vector,
    light: Vector,
) -> Vector:
    """Lambert term and Blinn-Phong highlight of one light."""
    cosine = dot(normal, to_light)
    if cosine <= 0.0:
        return 0.0, 0.0, 0.0
    highlight = 0.0
    if specular > 0.0:
        facing = dot(normal, unit(along(to_light, 1.0 + 1e-12, view)))
        if facing > 0.0:
            highlight = specular * math.exp(shininess * math.log(facing))
    return times(light, along((highlight, highlight, highlight), cosine, albedo))


@kernel
def add_colours(
    scene: Packed,
    eye: Vector,
    rays: np.ndarray,
    highlights: bool,
    colours: np.ndarray,
    mirrored: np.ndarray,
) -> None:
    """Add what each of `rays` [N, 7] (start, unit direction, weight) sees to `colours` [N, 3].

    Mirror reflections are left for later: the rays to follow are written to `mirrored` [N, 7],
    with weight 0 where there is no mirror. The loop is here, and not around this function,
    because handing nine arrays to a function costs more than shading a ray.
    """
    solids, from_world, rectangles = scene.solids, scene.from_world, scene.rectangles
    albedo, shares, lights, sky = scene.albedo, scene.visibility, scene.lights, scene.sky
    flash = (scene.flash[0], scene.flash[1], scene.flash[2])
    ambient = (scene.ambient[0], scene.ambient[1], scene.ambient[2])
    for i in range(len(rays)):
        mirrored[i, 6] = 0.0
        weight = rays[i, 6]
        if weight == 0.0:
            continue
        origin = rays[i, 0], rays[i, 1], rays[i, 2]
        direction = rays[i, 3], rays[i, 4], rays[i, 5]
        distance, p = nearest(solids, from_world, origin, direction)
        if p < 0:
            add_row(colours, i, weight, sky_colour(sky, direction))
            continue
        point = along(origin, distance, direction)
        chart, s, t, flat = locate(solids, from_world, p, point)
        if dot(flat, direction) > 0.0:
            flat = scaled(flat, -1.0)  # the underside of a disc
        normal = flat
        if solids[p, 6] > 0.0:
            normal = rippled(solids[p, 6], solids[p, 7], point, flat)
        place = texel_weights(rectangles, chart, s, t)
        paint = blend(albedo, place, 0), blend(albedo, place, 1), blend(albedo, place, 2)
        specular = solids[p, 3] if highlights else 0.0
        view = scaled(direction, -1.0)
        open_sky = blend(shares, place, len(lights)) * (0.75 + 0.25 * normal[2])
        add_row(colours, i, weight * open_sky, times(ambient, paint))
        if dot(flash, flash) > 0.0:
            way = unit(along(eye, -1.0, point))
            bright = lit(specular, solids[p, 4], normal, view, way, paint, flash)
            add_row(colours, i, weight, bright)
        for k in range(len(lights)):
            share = blend(shares, place, k)
            if share > 0.0:
                way = unit(along((lights[k, 0], lights[k, 1], lights[k, 2]), -1.0, point))
                light = (lights[k, 3], lights[k, 4], lights[k, 5])
                bright = lit(specular, solids[p, 4], normal, view, way, paint, light)
                add_row(colours, i, weight * share, bright)
        if solids[p, 5] > 0.0:
            add_mirrored(mirrored[i], weight, solids[p, 5], point, direction, normal, flat)


@kernel
def add_row(colours: np.ndarray, i: int, weight: float, colour: Vector) -> None:
    colours[i, 0] += weight * colour[0]
    colours[i, 1] += weight * colour[1]
    colours[i, 2] += weight * colour[2]


@kernel
def add_mirrored(
    ray: np.ndarray,
    weight: float,
    base: float,
    point: Vector,
    direction: Vector,
    normal: Vector,
    flat: Vector,
) -> None:
    """Write the mirrored ray with its share of the light (Schlick's approximation)."""
    cosine = min(max(-dot(normal, direction), 0.0), 1.0)
    way = along(direction, 2.0 * cosine, normal)
    # A ripple can bend the mirrored ray into the surface: lift it back to just above.
    way = unit(along(way, max(0.01 - dot(way, flat), 0.0), flat))
    start = along(point, ABOVE, flat)
    ray[0], ray[1], ray[2] = start
    ray[3], ray[4], ray[5] = way
    rest = 1.0 - cosine
    ray[6] = weight * (base + (1.0 - base) * rest * rest * rest * rest * rest)
