"""Training ROME on pairs of frames; under torchrun each process takes its own pairs."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, distributed, nn

from avatars.deca.networks import DecaCodes
from avatars.rome import losses
from avatars.rome.avatar import Rendering, RomeModel, Source, drive
from avatars.rome.clips import Clip, Pair, draw_pairs
from avatars.rome.discriminator import PatchDiscriminator, feature_distance, hinge_real_fake
from dnr.errors import InputError
from dnr.files import written_whole
from dnr.progress import progress
from dnr.tensor_files import load_tensors, save_tensors
from dnr.training.checkpoints import adam_tensors

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "rome.pth"


@dataclass(frozen=True)
class RomeWeights:
    """How much each loss counts; as published, but for the photometric one.

    Published training has perceptual losses in its place; it stands in where VGG's weights are not
    there, and beside them otherwise. Identity and gaze losses need networks of other publishers.
    Keypoints only teach DECA's encoder, which stays as it is.
    """

    photometric: float = 1.0
    perceptual: float = 1.0
    dice: float = 10.0
    silhouette: float = 10.0
    chamfer: float = 0.01
    laplacian: float = 10.0
    adversarial: float = 0.1
    features: float = 1.0


@dataclass(frozen=True)
class RomeOptions:
    """A run."""

    steps: int = 100_000
    batch: int = 4
    """Pairs per step and process."""
    rate: float = 1e-4
    discriminator_rate: float = 4e-4
    discriminator_width: int = 64
    seed: int = 0
    save_every: int = 1000
    """Steps between checkpoints."""
    weights: RomeWeights = field(default_factory=RomeWeights)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "rate", "discriminator_rate", "save_every"):
            if getattr(self, name) <= 0:
                raise InputError(f"--{name.replace('_', '-')} must be more than 0")


class RomeState(NamedTuple):
    """Everything that a step changes, but for the step's number."""

    model: RomeModel
    discriminator: PatchDiscriminator
    generator_adam: torch.optim.Adam
    discriminator_adam: torch.optim.Adam


def new_state(model: RomeModel, options: RomeOptions) -> RomeState:
    """Optimisers beside the networks of `model`, which are trained in place."""
    torch.manual_seed(options.seed)
    like = model.flame.template
    discriminator = PatchDiscriminator(options.discriminator_width).to(like)
    return RomeState(
        model,
        discriminator,
        torch.optim.Adam(model.rome.parameters(), options.rate, betas=(0.0, 0.999)),
        torch.optim.Adam(
            discriminator.parameters(), options.discriminator_rate, betas=(0.0, 0.999)
        ),
    )


def render_pair(model: RomeModel, pair: Pair) -> Rendering:
    """The target's moment drawn from the source's picture."""
    texture = model.rome.texture(pair.source, pair.source_matte)
    nothing = texture.new_zeros(())
    return drive(model, Source(pair.shape, texture, nothing), pair.codes, as_published=True)


def train_step(
    state: RomeState,
    pair: Pair,
    weights: RomeWeights,
    backdrop: Tensor,  # [B, 3, 1, 1], a random colour behind both pictures
    perceptual: nn.Module | None = None,
) -> dict[str, float]:
    """One step of both networks; the losses, weighted."""
    model, discriminator = state.model, state.discriminator
    rendering = render_pair(model, pair)
    cover = torch.sigmoid(rendering.matte).detach()
    image = rendering.image * cover + backdrop * (1 - cover)
    target = pair.target * cover + backdrop * (1 - cover)
    faces = model.surface.faces
    outline = losses.soft_silhouette(rendering.on_screen, faces, rendering.covered)
    fake, fake_features = discriminator(image)
    real_features = discriminator(target)[1]
    terms = {
        "photometric": (image - target).abs().mean(),
        "dice": losses.dice_loss(rendering.matte, pair.target_matte),
        "silhouette": losses.silhouette_loss(outline, pair.target_matte),
        "chamfer": losses.chamfer_loss(rendering.on_screen, faces, pair.target_matte),
        "laplacian": losses.laplacian_loss(rendering.offsets, faces),
        "adversarial": -fake.mean(),
        "features": feature_distance(real_features, fake_features),
    }
    if perceptual is not None:
        terms["perceptual"] = perceptual(image, target)
    weighted = {name: getattr(weights, name) * term for name, term in terms.items()}
    _step(state.generator_adam, torch.stack(list(weighted.values())).sum())
    loss = hinge_real_fake(discriminator(target.detach())[0], discriminator(image.detach())[0])
    _step(state.discriminator_adam, loss)
    return {name: float(term.detach()) for name, term in (weighted | {"hinge": loss}).items()}


def train_rome(
    model: RomeModel,
    clips: list[Clip],
    out: Path,
    options: RomeOptions,
    resume: bool = False,
    perceptual: nn.Module | None = None,
) -> list[dict[str, float]]:
    """Train, and write rome.pth and a checkpoint into `out`; the losses of every step."""
    rank, _ = _processes()
    state = new_state(model, options)
    start = load_state(out / CHECKPOINT, state) if resume else 0
    _share(state)
    like, history = model.flame.template, []
    unseen = io.StringIO() if rank else None  # only the first process shows its progress
    with progress(options.steps, "training", start=start, stream=unseen) as shown:
        for step in range(start, options.steps):
            random = np.random.default_rng([options.seed, step, rank])  # so that resuming is exact
            pair = _moved(draw_pairs(clips, options.batch, random), like)
            backdrop = torch.from_numpy(random.random((options.batch, 3, 1, 1))).to(like)
            history.append(train_step(state, pair, options.weights, backdrop, perceptual))
            shown.update(step + 1, **history[-1])
            if rank == 0 and ((step + 1) % options.save_every == 0 or step + 1 == options.steps):
                save_state(out / CHECKPOINT, state, step + 1)
    if rank == 0:
        with written_whole(out / WEIGHTS) as beside:
            torch.save(model.rome.state_dict(), beside)
    return history


def save_state(path: Path, state: RomeState, step: int) -> None:
    """Networks and optimisers, whole or not at all."""
    save_tensors(path, _tensors(state) | {"step": torch.tensor(step)})


def load_state(path: Path, state: RomeState) -> int:
    """Bring `state` to where the checkpoint was written; the number of steps done."""
    tensors = load_tensors(path)
    own = _tensors(state) | {"step": torch.tensor(0)}
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in tensors.items()}:
        raise InputError(f"{path} belongs to a run with other networks; start without --resume")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    return int(tensors["step"])


def _tensors(state: RomeState) -> dict[str, Tensor]:
    tensors = {f"rome.{k}": v for k, v in state.model.rome.state_dict().items()}
    tensors |= {f"discriminator.{k}": v for k, v in state.discriminator.state_dict().items()}
    tensors |= adam_tensors("generator_adam", state.generator_adam)
    return tensors | adam_tensors("discriminator_adam", state.discriminator_adam)


def _step(adam: torch.optim.Adam, loss: Tensor) -> None:
    """One step along the gradient that all processes found together."""
    adam.zero_grad()
    loss.backward()
    count = _processes()[1]
    for group in adam.param_groups if count > 1 else ():
        for parameter in group["params"]:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            distributed.all_reduce(gradient)
            parameter.grad = gradient / count
    adam.step()


def _processes() -> tuple[int, int]:
    """This process's number and how many there are; joins those that torchrun started."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return (distributed.get_rank(), count) if count > 1 else (0, 1)


def _share(state: RomeState) -> None:
    """Everybody starts from the first process's numbers."""
    if _processes()[1] > 1:
        for network in (state.model.rome, state.discriminator):
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, 0)


def _moved(pair: Pair, like: Tensor) -> Pair:
    codes = DecaCodes(*(values.to(like) for values in pair.codes))
    images = (pair.source.to(like), pair.source_matte.to(like), pair.shape.to(like))
    return Pair(*images, codes, pair.target.to(like), pair.target_matte.to(like))
