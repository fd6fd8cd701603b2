"""What a recipe can ask for: the name of every operation, and the function that carries it out."""

from __future__ import annotations

from typing import Any

import numpy as np

from dnr.editing import copy_operations, object_operations, paint_operations
from dnr.editing.canvas import Canvas
from dnr.editing.fields import Fields
from dnr.editing.selections import STEP, read_selection, select

MOST_LABELS = 255

OPERATIONS = {
    "paint": paint_operations.paint,
    "fill": paint_operations.fill,
    "gradient": paint_operations.gradient,
    "text": paint_operations.text,
    "decal": paint_operations.decal,
    "project": paint_operations.project_image,
    "recolour": paint_operations.recolour,
    "clone": copy_operations.clone,
    "heal": copy_operations.heal,
    "erase": copy_operations.erase,
    "hide": object_operations.hide,
    "remove": object_operations.remove,
    "move": object_operations.move,
    "duplicate": object_operations.duplicate,
}


def carry_out(canvas: Canvas, operation: dict[str, Any], number: int) -> None:
    """Apply one operation; `number` counts from 1 and is named when something is wrong with it.

    A refused operation leaves the canvas as it was.
    """
    fields = operation_fields(operation, number)
    name = fields.choice("op", names())
    if not fields.flag("enabled", True):
        return
    fields.any("note", "-")  # for the reader of the recipe
    if name == "select":
        _save_selection(canvas, fields)
    elif name == "label":
        _paint_label(canvas, fields)
    else:
        OPERATIONS[name](canvas, fields)


def names() -> tuple[str, ...]:
    """All operations."""
    return ("select", "label", *OPERATIONS)


def operation_fields(operation: dict[str, Any], number: int) -> Fields:
    """The operation's values, and how messages call it."""
    name = operation.get("op")
    called = f" ({name[:20]})" if isinstance(name, str) else ""
    return Fields(operation, f"operation {number}{called}")


def _save_selection(canvas: Canvas, fields: Fields) -> None:
    """Keep a selection under a name, for the operations after this one."""
    name, part = fields.text("name"), fields.part("select")
    if part is None:
        fields.refuse("select is missing; say what to save")
    share = select(canvas, part)
    fields.done()
    if not share.max(initial=0) > STEP:
        fields.refuse("select is empty: no texel of the surface is in it")
    canvas.selections = canvas.selections | {name: share}


def _paint_label(canvas: Canvas, fields: Fields) -> None:
    """Say what a part of the surface is. A texel has one label, the last one painted."""
    name = fields.text("name")
    share = read_selection(canvas, fields)
    fields.done()
    labels = canvas.labels
    if name not in labels:
        if len(labels) >= MOST_LABELS:
            fields.refuse(f"there are {MOST_LABELS} labels already; use one of them")
        labels = labels | {name: len(labels) + 1}
    canvas.labels = labels
    canvas.label = np.where(share > STEP, np.uint8(labels[name]), canvas.label)
