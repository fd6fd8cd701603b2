"""The question that comes before an avatar: did this person agree?"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from dnr.errors import InputError

QUESTION = (
    "An avatar can make this person appear to say things they never said.\n"
    "Did they agree to it, or is it you? [y/N] "
)


def ask_consent(yes: bool) -> dict[str, Any]:
    """What the avatar records about it; raises unless somebody says yes."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if yes:
        return {"consent": f"confirmed with --yes, {now}"}
    if not sys.stdin.isatty():
        raise InputError(
            "training an avatar needs the person's agreement; confirm that you have it with --yes"
        )
    print(QUESTION, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("no avatar without the person's agreement")
    return {"consent": f"confirmed at the prompt, {now}"}
