"""XML from outside, parsed only if it cannot grow."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from dnr.errors import InputError
from dnr.files import MEBIBYTE, read_bytes

MOST_BYTES = 256 * MEBIBYTE


def read_xml(path: Path) -> ElementTree.Element:
    """The root of the document. One that defines entities is refused: a few lines of them can
    expand to gigabytes."""
    data = read_bytes(path, MOST_BYTES)
    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise InputError(
            f"{path} has a document type, which camera files do not. Export the cameras again."
        )
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is not valid XML: {error}. Export the cameras again.") from error
