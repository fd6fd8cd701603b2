"""The edit stack: operations in order, carried out on a canvas, undone, redone and rearranged."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnr.asset import Asset
from dnr.editing.canvas import Canvas
from dnr.editing.instances import Instances
from dnr.editing.operations import carry_out
from dnr.editing.recipe import check_operation
from dnr.geometry.cameras import Camera
from dnr.geometry.meshes import Mesh
from dnr.raster.turns import Turns


class Step(NamedTuple):
    """The state before one operation."""

    history: int  # writes that were there
    selections: dict[str, np.ndarray]
    labels: dict[str, int]
    label: np.ndarray
    placement: tuple[Instances, Mesh, Turns | None]


class Session:
    """An asset with a stack of edits on it. The asset that was given in stays as it is.

    `asset` is the edited one. The same operations always give the same bits, in whatever order
    they were done and undone.
    """

    def __init__(self, asset: Asset, cameras: dict[str, Camera], folder: Path) -> None:
        self.canvas = Canvas(asset, cameras, folder)
        self.operations: list[dict[str, Any]] = []
        self._undone: list[dict[str, Any]] = []
        self._steps: list[Step] = []

    @property
    def asset(self) -> Asset:
        return self.canvas.asset

    def apply(self, operation: dict[str, Any]) -> None:
        """Carry out one more operation; what had been undone is forgotten."""
        self._carry_out(copy.deepcopy(operation))
        self._undone.clear()

    def undo(self) -> None:
        """Take back the last operation."""
        self._check(bool(self.operations), "undo")
        self._undone.append(self.operations.pop())
        self._rewind(len(self.operations))

    def redo(self) -> None:
        """Carry out again what was undone last."""
        self._check(bool(self._undone), "redo")
        self._carry_out(self._undone.pop())

    def move(self, index: int, to: int) -> None:
        """Let the operation at `index` happen at place `to`."""
        order = list(self.operations)
        order.insert(to, order.pop(index))
        self._rearrange(order)

    def toggle(self, index: int) -> None:
        """Switch an operation off, or on again."""
        self._change(index, "enabled", not self.operations[index].get("enabled", True))

    def set_opacity(self, index: int, opacity: float) -> None:
        """Let an operation show through, 0 to 1."""
        self._change(index, "opacity", opacity)

    def remove(self, index: int) -> None:
        """Take an operation out of the stack."""
        self._rearrange(self.operations[:index] + self.operations[index + 1 :])

    def _change(self, index: int, name: str, value: Any) -> None:
        order = list(self.operations)
        order[index] = order[index] | {name: value}
        self._rearrange(order)

    def _rearrange(self, order: list[dict[str, Any]]) -> None:
        """Replay from the first difference on; a refusal puts everything back."""
        before = self.operations
        same = 0
        while same < min(len(before), len(order)) and before[same] == order[same]:
            same += 1
        self._replay(order, same)
        self._undone.clear()

    def _replay(self, order: list[dict[str, Any]], same: int) -> None:
        before = self.operations
        self._rewind(same)
        self.operations = before[:same]
        with ExitStack() as unless_done:
            unless_done.callback(self._put_back, before, same)
            for operation in order[same:]:
                self._carry_out(operation)
            unless_done.pop_all()

    def _put_back(self, operations: list[dict[str, Any]], same: int) -> None:
        self._rewind(same)
        self.operations = operations[:same]
        for operation in operations[same:]:
            self._carry_out(operation)

    def _carry_out(self, operation: dict[str, Any]) -> None:
        number = len(self.operations) + 1
        check_operation(operation, number)
        canvas = self.canvas
        placement = canvas.instances, canvas.asset.mesh, canvas.asset.turns
        names = canvas.selections, canvas.labels, canvas.label
        step = Step(len(canvas.history), *names, placement)
        with ExitStack() as unless_done:
            unless_done.callback(self._restore, step)
            carry_out(canvas, operation, number)
            unless_done.pop_all()
        self.operations.append(operation)
        self._steps.append(step)

    def _rewind(self, length: int) -> None:
        """Put the canvas back to where it was after the first `length` operations."""
        while len(self._steps) > length:
            self._restore(self._steps.pop())

    def _restore(self, step: Step) -> None:
        canvas = self.canvas
        canvas.rewind(step.history)
        canvas.selections, canvas.labels, canvas.label = step.selections, step.labels, step.label
        canvas.place(*step.placement)

    @staticmethod
    def _check(possible: bool, what: str) -> None:
        if not possible:
            raise ValueError(f"operations must not be empty to {what}, got none")
