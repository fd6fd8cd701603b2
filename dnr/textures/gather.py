"""Fused CPU kernels over a texel pyramid: look up, spread gradients back, and step texels.

These are the fast twins of `Pyramid.sample` and `row_adam_reference`, and the tests hold them
together. A pyramid is one array of texels `[R, C]`: every level is a row-major block of
`size * size` rows with image row 0 on top; blocks follow each other, finest first.
"""

from __future__ import annotations

import numba
import numpy as np

from dnr.textures.bilinear import corner

CORNERS = 4
EPSILON = np.float32(1e-8)
NONE, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


@numba.njit(cache=True, fastmath=True, inline="always")
def level_share(size, always, footprint):
    """How much a level of this side counts for a pixel whose patch has this side in uv units."""
    if size < always:
        return ONE
    return min(max(TWO - footprint * np.float32(size), NONE), ONE)


@numba.njit(cache=True, fastmath=True, nogil=True)  # frames are rendered side by side
def gather(texels, sizes, always, uv, footprint, out):
    """Add the weighted sum over all levels of lookups at uv [N, 2] to out [N, C or more]."""
    channels = texels.shape[1]
    start = 0
    for size in sizes:
        for point in range(len(uv)):
            share = level_share(size, always, footprint[point, 0])
            if share == NONE:
                continue
            index, x, y = corner(uv[point, 0], uv[point, 1], size)
            first = start + index
            top_left = share * (ONE - x) * (ONE - y)
            top_right = share * x * (ONE - y)
            low_left = share * (ONE - x) * y
            low_right = share * x * y
            for c in range(channels):
                out[point, c] += (
                    top_left * texels[first, c]
                    + top_right * texels[first + 1, c]
                    + low_left * texels[first + size, c]
                    + low_right * texels[first + size + 1, c]
                )
        start += size * size


@numba.njit(cache=True, fastmath=True)
def scatter(gradient, sizes, always, uv, footprint, slots, rows, sums):
    """Collect what gradient [N, C or more] of `gather`'s result means for the texels it touched.

    Returns how many rows were touched; rows[:count] lists them, level by level, and sums[:count]
    holds their gradients. `slots` [R] is scratch memory that needs no clearing between calls: a
    slot counts only while rows[slot] points back (a sparse set).
    """
    channels = sums.shape[1]
    count = 0
    start = 0
    for size in sizes:
        for point in range(len(uv)):
            share = level_share(size, always, footprint[point, 0])
            if share == NONE:
                continue
            index, x, y = corner(uv[point, 0], uv[point, 1], size)
            for which in range(CORNERS):
                right = which & 1
                below = which >> 1
                weight = share * (x if right else ONE - x) * (y if below else ONE - y)
                if weight == NONE:
                    continue  # on a texel centre or beyond the last one: a neighbour is not seen
                row = start + index + right + below * size
                slot = slots[row]
                if slot < count and rows[slot] == row:
                    for c in range(channels):
                        sums[slot, c] += weight * gradient[point, c]
                else:
                    slots[row] = count
                    rows[count] = row
                    for c in range(channels):
                        sums[count, c] = weight * gradient[point, c]
                    count += 1
        start += size * size
    return count


@numba.njit(cache=True, fastmath=True, error_model="numpy")  # Python's errors hinder vectorising
def adam_rows(texels, moments, ages, rows, sums, rates, shrink, starts, corrections, betas):
    """One Adam step on the listed rows, each with its own age; untouched rows rest.

    `rows` come level by level, as `scatter` lists them, and `sums`, their gradients, is used up.
    moments [R, 2, C] keeps both moments of a row side by side in memory; rates and shrink [L, C]
    are the learning rate and decoupled decay per level and channel; corrections [A, 2] is a table
    of 1 / (1 - beta ** age), because powers inside the loop are slow.
    """
    channels = texels.shape[1]
    beta1, beta2 = betas
    new1, new2 = ONE - beta1, ONE - beta2
    level = 0
    for slot in range(len(rows)):
        while level + 1 < len(starts) and rows[slot] >= starts[level + 1]:
            level += 1
        row = np.uintp(rows[slot])  # unsigned: no wrapping around from the end to care for
        age = min(ages[row], len(corrections) - 1)
        ages[row] += 1
        correct1, correct2 = corrections[age, 0], corrections[age, 1]
        for c in range(channels):
            g = sums[slot, c]
            mean = beta1 * moments[row, 0, c] + new1 * g
            square = beta2 * moments[row, 1, c] + new2 * g * g
            moments[row, 0, c] = mean
            moments[row, 1, c] = square
            sums[slot, c] = mean * correct1 / (np.sqrt(square * correct2) + EPSILON)
        # A loop of its own: with more arrays in one, the compiler gives up telling them apart.
        for c in range(channels):
            kept = texels[row, c] * (ONE - shrink[level, c])
            texels[row, c] = kept - rates[level, c] * sums[slot, c]
