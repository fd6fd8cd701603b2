"""Facts about a film's origin that always travel with it: in the file, and in JSON beside it.

The vocabulary is that of IPTC's digital source types and of C2PA's actions, so that others' tools
understand it. Nothing is signed: this tells the honest what they look at, it stops no forger.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from dnr import __version__

SOURCE_TYPE = "compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for real pictures combined with what a trained model made."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SENTENCE = "Synthetic video: a model of a face, driven by another recording."
_BLOCK_BYTES = 1 << 20


def provenance(
    asset: dict[str, str],  # of whom: name, sha256, and what is known about consent
    driver: dict[str, str],  # what moved it: name, sha256
) -> dict[str, Any]:
    """What the sidecar of a film says."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    action = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPES + SOURCE_TYPE,
        "softwareAgent": {"name": "dnr", "version": __version__},
        "when": now,
    }
    return {
        "format_version": 1,
        "synthetic": True,
        "statement": SENTENCE,
        "digital_source_type": SOURCE_TYPES + SOURCE_TYPE,
        "program": f"dnr {__version__}",
        "created": now,
        "asset": asset,
        "driver": driver,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        "signed": False,
    }


def metadata(about: dict[str, Any]) -> dict[str, str]:
    """The same for the metadata of the film; the comment is what players show."""
    return {
        "comment": about["statement"],
        "software": about["program"],
        "digital_source_type": about["digital_source_type"],
        "provenance": json.dumps(about, separators=(",", ":")),
    }


def sidecar_path(film: Path) -> Path:
    """The JSON file beside `film`."""
    return film.with_name(f"{film.name}.json")


def file_hash(*paths: Path) -> str:
    """SHA-256 over the contents of all files, in order."""
    digest = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
