"""Reading operations out of a recipe: every wrong value becomes one sentence with its number."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np
import torch

from dnr.errors import InputError
from dnr.geometry.cameras import Camera

MOST_POINTS = 4096
"""Of one stroke or outline, and strokes of one operation."""
LONGEST_TEXT = 500


class Fields:
    """The named values of one operation, or of a part of it. What nobody has read is an error."""

    def __init__(self, values: dict[str, Any], where: str) -> None:  # "operation 3 (paint)"
        self.values, self.where = values, where
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def refuse(self, trouble: str) -> NoReturn:
        """Raise, naming the operation."""
        raise InputError(f"{self.where}: {trouble}")

    def done(self) -> None:
        """Raise if there is something in it that means nothing here."""
        unknown = [name for name in self.values if name not in self._read]
        if unknown:
            self.refuse(f"{unknown[0][:60]!r} means nothing here; remove it or check its spelling")

    def any(self, name: str, default: Any = None) -> Any:
        """The value as it stands."""
        self._read.add(name)
        if name not in self.values and default is None:
            self.refuse(f"{name} is missing; add it")
        return self.values.get(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.any(name, default)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
            self.refuse(f"{name} must be a text of 1 to {LONGEST_TEXT} letters")
        return value

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str:
        value = self.any(name, default)
        if value not in options:
            self.refuse(f"{name} must be one of {', '.join(options)}, got {str(value)[:60]!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        self._read.add(name)
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            self.refuse(f"{name} must be true or false")
        return value

    def number(
        self,
        name: str,
        default: float | None = None,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> float:
        return self._checked(name, self.any(name, default), least, most)

    def numbers(
        self, name: str, count: int, least: float = -1e9, most: float = 1e9, default: Any = None
    ) -> np.ndarray:  # float64 [count]
        value = self.any(name, default)
        if not isinstance(value, list) or len(value) != count:
            self.refuse(f"{name} must be a list of {count} numbers")
        return np.array([self._checked(name, item, least, most) for item in value])

    def points(self, name: str, least_count: int, is_uv: bool) -> np.ndarray:  # float32 [K, 2]
        """A list of places: column and row, or u and v, which lie between 0 and 1."""
        return self._points(name, self.any(name), least_count, is_uv)

    def polylines(self, name: str, is_uv: bool) -> list[np.ndarray]:
        """A list of lists of places."""
        value = self.any(name)
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_POINTS:
            self.refuse(f"{name} must be a list of 1 to {MOST_POINTS} lists of points")
        return [self._points(name, item, 1, is_uv) for item in value]

    def colour(self, name: str, default: Any = None) -> np.ndarray:  # float32 [3]
        """Red, green and blue in [0, 1], given as such a list or as "#rrggbb"."""
        return self._colour(name, self.any(name, default))

    def colours(self, name: str) -> np.ndarray:  # float32 [K, 3]
        value = self.any(name)
        if not isinstance(value, list) or not 1 <= len(value) <= 64:
            self.refuse(f"{name} must be a list of 1 to 64 colours")
        return np.stack([self._colour(name, item) for item in value])

    def part(self, name: str) -> Fields | None:
        """Another object inside this one; None if it is not there."""
        self._read.add(name)
        if name not in self.values:
            return None
        return self._part(name, self.values[name])

    def parts(self, name: str) -> list[Fields]:
        value = self.any(name)
        if not isinstance(value, list) or not value:
            self.refuse(f"{name} must be a list of at least one object")
        return [self._part(name, item) for item in value]

    def _part(self, name: str, value: Any) -> Fields:
        if not isinstance(value, dict):
            self.refuse(f"{name} must be an object ({{...}})")
        return Fields(value, f"{self.where}: {name}")

    def camera(self, name: str, known: dict[str, Camera]) -> Camera:
        """A view of the capture by name, or {"world_to_camera", "intrinsics", "size"}."""
        value = self.any(name)
        if isinstance(value, str):
            if value not in known:
                self.refuse(
                    f"{name} {value[:60]!r} is not a photo of this run; the first is "
                    f"{next(iter(known), 'none')!r}"
                )
            return known[value]
        try:
            matrix, lens = (
                torch.tensor(value[key], dtype=torch.float32)
                for key in ("world_to_camera", "intrinsics")
            )
            height, width = (int(side) for side in value["size"])
            whole = torch.isfinite(matrix).all() and torch.isfinite(lens).all()
            if not whole or not all(1 <= side <= 8192 for side in (height, width)):
                raise ValueError
            return Camera(matrix[None], lens[None], (height, width))
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError):
            self.refuse(
                f"{name} must be the name of a photo, or world_to_camera (4 x 4), intrinsics "
                "(3 x 3, pixels) and size (height, width)"
            )

    def _checked(self, name: str, value: Any, least: float, most: float) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not least <= value <= most:
            limits = f" from {least:g} to {most:g}" if math.isfinite(least + most) else ""
            self.refuse(f"{name} must be a number{limits}, got {str(value)[:60]!r}")
        return float(value)

    def _points(self, name: str, value: Any, least: int, is_uv: bool) -> np.ndarray:
        ok = isinstance(value, list) and least <= len(value) <= MOST_POINTS
        if not ok or not all(isinstance(item, list) and len(item) == 2 for item in value):
            self.refuse(f"{name} must be a list of {least} to {MOST_POINTS} points [x, y]")
        low, high = (0.0, 1.0) if is_uv else (-1e5, 1e5)
        rows = [[self._checked(name, x, low, high) for x in item] for item in value]
        return np.array(rows, np.float32)

    def _colour(self, name: str, value: Any) -> np.ndarray:
        if isinstance(value, str) and len(value) == 7 and value[0] == "#":
            try:
                return np.array([int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
            except ValueError:
                self.refuse(f'{name} must be "#rrggbb" or [red, green, blue], got {value!r}')
        if not isinstance(value, list) or len(value) != 3:
            self.refuse(f'{name} must be "#rrggbb" or [red, green, blue] in 0 to 1')
        return np.array([self._checked(name, item, 0, 1) for item in value], np.float32)
