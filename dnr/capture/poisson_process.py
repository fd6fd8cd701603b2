"""What poisson.py runs in a process of its own: a PLY of oriented points in, a PLY of faces out."""

import sys

OCTREE_DEPTH = 8  # 256 cells along each side


def main(before: str, after: str) -> None:
    """Solve with one thread; with more, the mesh differs from run to run."""
    import pycolmap  # optional, and slow to load

    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    options = pycolmap.PoissonMeshingOptions()
    options.depth, options.trim, options.color, options.num_threads = OCTREE_DEPTH, 0, False, 1
    pycolmap.poisson_meshing(before, after, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
