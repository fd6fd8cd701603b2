"""`python -m avatars.flame --out flame-head.npz`: your FLAME as a head for `dnr track --head`."""

from __future__ import annotations

from pathlib import Path

import tyro

from avatars import model_files as files
from avatars.flame.as_head import flame_head
from avatars.flame.kit import load_kit
from avatars.flame.surface import load_masks, load_template
from avatars.heads.files import write_head
from dnr.commands import run_command


def main(out: Path, models: Path | None = None) -> None:
    """Write FLAME as a head file.

    Args:
        out: File to write, .npz. It holds FLAME's shapes: FLAME's licence goes with it.
        models: Folder with your FLAME files; by default DNR_MODELS, or dnr/models in the cache.
    """
    folder = files.models_folder(models)
    kit = load_kit(folder)
    masks = load_masks(files.need_file(files.MASKS, folder))
    template = load_template(files.need_file(files.TEMPLATE, folder))
    head = flame_head(kit.flame, masks, template, kit.head, kit.pairing, kit.table)
    write_head(out, head)
    print(f"wrote {out}; follow a head with it: dnr track VIDEO --out TRACK --head {out}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
