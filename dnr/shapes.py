"""Shape checks for public entry points."""

from torch import Tensor


def check_shape(name: str, tensor: Tensor, spec: str) -> None:
    """Raise unless `tensor` fits `spec`; in "B H W 2" words match any size, numbers are exact."""
    dims = spec.split()
    fits = tensor.ndim == len(dims) and all(
        not dim.isdigit() or int(dim) == size for dim, size in zip(dims, tensor.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have shape [{', '.join(dims)}], got {list(tensor.shape)}")
