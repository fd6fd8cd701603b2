"""The avatar: textures on a driven head, layers around it, a plate behind it, and a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avatars.avatar.code import Code
from avatars.avatar.draft import drafted, image, together
from avatars.avatar.expression_texture import ExpressionTexture
from avatars.avatar.layers import (
    FEATURES,
    SHARE,
    Layer,
    Seen,
    head_places,
    torso_places,
)
from avatars.avatar.lens import STILL, Jitter, Lens, camera_of, sampled, steady_pixels
from avatars.avatar.network import HeadNetwork
from avatars.avatar.paint import light_on, look_up_paint
from avatars.heads.head import Head, Motion, at_rest, head_vertices
from avatars.transfer.performance import Frame
from dnr.geometry.meshes import Mesh
from dnr.raster.rasterize import rasterize
from dnr.raster.surface import Surface, interpolate
from dnr.renderers.pixel import fast_bfloat16
from dnr.textures.pyramid import COLOURS, NeuralTexture, TextureConfig

TORSO_FACES = 0.5
"""Faces that follow the torso by more than this are left to the torso's layer: they are not
tracked, and clothes are not skin."""
SURE, MOST_CHANGE = 1e-3, 3.0
"""How sure layers may be of person or background, and by how much the network may change that, in
log odds: it sharpens edges, but cannot tear holes in poses it has never seen."""
NARROW, WIDE = (16, 32, 64, 64), (24, 48, 96, 96)


@dataclass(frozen=True)
class AvatarConfig:
    """What is needed to build an avatar before its weights are read."""

    lens: Lens
    texture: TextureConfig
    half_m: float
    """Half the width of the head's canvas."""
    canvas: int = 192
    """Pixels along a side of both layers' canvases."""
    moving_size: int = 160
    """Texels along a side of the expression-driven texture."""
    moving_channels: int = 8
    """Channels of the expression-driven texture; 0 for an avatar without one."""
    widths: tuple[int, ...] = WIDE
    """Of the network's levels, finest first."""
    has_layers: bool = True
    """Whether hair and torso have layers; without, the mesh is all there is of the person."""
    sees_normals: bool = True
    """Whether the network is told which way the surface faces, so that light can stand still."""
    hidden: tuple[str, ...] = ()
    """Further regions of the head to leave out of the mesh, such as mouth."""
    painted: int = 0
    """Texels along a side of the paint that editing has put on; 0 for none."""


class View(NamedTuple):
    """What a frame looks like before the network: geometry, and where the layers are."""

    points: Surface  # [N] of the pixels that see the mesh
    hit: Tensor  # [S, S] bool
    normals: Tensor  # [N, 3] in camera axes
    head: Tensor  # [1, S, S, 2] places on the head's canvas
    steady: Tensor  # [S, S, 2] places in the picture without jitter
    neck_moved: Tensor  # [1, 2] pixels from where the neck is at rest
    plate: Tensor  # [1, 3, S, S]


class Picture(NamedTuple):
    """A rendered frame. Colour and alpha know nothing of the plate, so any can be put behind."""

    colour: Tensor  # [1, 3, S, S] of the person
    alpha: Tensor  # [1, 1, S, S]
    plate: Tensor  # [1, 3, S, S]
    draft: Tensor  # [1, 3, S, S]: texture, layers and plate, before the network
    draft_alpha: Tensor  # [1, 1, S, S]

    @property
    def image(self) -> Tensor:  # [1, 3, S, S]
        """The person in front of the plate."""
        return self.plate + self.alpha * (self.colour - self.plate)


class Avatar(nn.Module):
    def __init__(self, config: AvatarConfig, head: Head, plate: Tensor) -> None:  # [3, S, S]
        super().__init__()
        self.config, self.head = config, head
        self.texture = NeuralTexture(config.texture)
        if config.moving_channels:
            self.moving = ExpressionTexture(config.moving_size, config.moving_channels)
        if config.has_layers:
            self.hair, self.torso = Layer(config.canvas), Layer(config.canvas)
            self.share = nn.Parameter(torch.tensor(SHARE))
        if config.painted:
            self.paint = nn.Buffer(torch.zeros(COLOURS, config.painted, config.painted))
        self.code = Code(len(head.expression))
        self.network = HeadNetwork(_channels(config), config.widths)
        self.identity = nn.Buffer(torch.zeros(len(head.identity)))
        self.offsets = nn.Buffer(torch.zeros(len(head.template)))
        self.neck = nn.Buffer(torch.zeros(3))  # at rest before the camera, metres
        self.pin = nn.Buffer(torch.zeros(3))  # of the head's layer, metres in the head frame
        self.plate = nn.Buffer(plate)
        self.faces = _shown_faces(head, config.hidden)

    @property
    def device(self) -> torch.device:
        return self.plate.device

    def mesh(self, motion: Motion) -> Mesh:
        """The head in one frame of `motion`, without the torso."""
        vertices = head_vertices(self.head, self.identity, motion, self.offsets)[0]
        faces, uv_faces = self.head.faces[self.faces], self.head.uv_faces[self.faces]
        return Mesh(vertices, faces, self.head.uv, uv_faces, faces)

    @torch.no_grad()
    def look(self, frame: Frame, jitter: Jitter = STILL, plate: Tensor | None = None) -> View:
        """Rasterise one frame; `plate` [3, S, S] replaces the avatar's own."""
        lens = self.config.lens
        camera = camera_of(lens, frame.pose, jitter)
        mesh = self.mesh(frame.motion)
        fragments = rasterize(mesh.vertices, mesh.faces, camera)
        surface = interpolate(fragments, mesh, camera)
        hit = fragments.face_id[0] >= 0
        points = Surface(*(field[0][hit] for field in surface))
        steady = steady_pixels(lens, jitter, self.plate)
        pixels = steady if jitter == STILL else steady_pixels(lens, STILL, self.plate)
        behind = self.plate if plate is None else plate
        behind = behind if jitter == STILL else sampled(behind, steady)
        return View(
            points,
            hit,
            points.normal @ camera.world_to_camera[0, :3, :3].T,
            head_places(camera, pixels, self.pin, self.config.half_m),
            steady,
            self.neck_moved(frame),
            behind[None],
        )

    def forward(self, view: View, static: Tensor, code: Tensor) -> Picture:  # [N, C], [1, LENGTH]
        """The finished picture. `static` is what the static texture holds at the view's points."""
        device, config = static.device, self.config
        known = [static, torch.ones_like(static[:, :1])]
        known += [view.normals] if config.sees_normals else []
        known += [self.moving(code, view.points.uv)] if config.moving_channels else []
        layers = self._layers(view)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device)):
            skin = image(view.hit, torch.cat(known, dim=1))
            colour, draft_alpha = drafted(skin[:, :COLOURS], view.hit[None, None], layers)
            moving = skin.shape[1] - config.moving_channels
            inputs = [skin[:, COLOURS:moving], colour, draft_alpha, skin[:, moving:]]
            for layer in layers:
                inputs += [layer.alpha, layer.features]
            change = self.network(together(inputs), code).to(skin)
        logit = draft_alpha.clamp(SURE, 1 - SURE).logit() + MOST_CHANGE * change[:, 3:].tanh()
        draft = view.plate + draft_alpha * (colour - view.plate)
        finished = colour + change[:, :3]
        if self.config.painted:
            paint = image(view.hit, look_up_paint(self.paint, view.points.uv))
            finished = finished + paint * light_on(finished, colour, view.hit[None, None])
        return Picture(finished, logit.sigmoid(), view.plate, draft, draft_alpha)

    @torch.inference_mode()
    def render(self, frame: Frame, plate: Tensor | None = None) -> Picture:
        """One frame as the avatar's person would look in it."""
        view = self.look(frame, plate=plate)
        static = self.texture.look_up(view.points.uv, view.points.footprint)
        return self(view, static, self.code(frame.motion))

    def _layers(self, view: View) -> list[Seen]:  # back to front
        if not self.config.has_layers:
            return []
        torso = torso_places(view.steady, view.neck_moved, self.share)
        return [self.torso(torso), self.hair(view.head)]

    def neck_moved(self, frame: Frame) -> Tensor:  # [1, 2]
        """How far the neck is from its place at rest, in pixels of the steady picture."""
        lens = self.config.lens
        joint = self.head.neck_joint @ at_rest(self.head, self.identity)
        now = frame.pose[:, :, :3] @ joint + frame.pose[:, :, 3]
        return lens.focal * (now[:, :2] / now[:, 2:] - self.neck[:2] / self.neck[2])

    def moved(self, device: torch.device) -> Avatar:
        """Itself, on `device`, head included."""
        self.head = self.head.to(self.plate.to(device))
        self.faces = self.faces.to(device)
        return self.to(device)


def _channels(config: AvatarConfig) -> int:
    layers = 2 * (1 + FEATURES) if config.has_layers else 0
    base = config.texture.channels - COLOURS + 1 + 3 + 1
    return base + layers + config.moving_channels + 3 * config.sees_normals


def _shown_faces(head: Head, hidden: tuple[str, ...]) -> Tensor:  # [F'] indices
    covered = head.torso > TORSO_FACES
    for name in hidden:
        covered = covered | head.regions[name]
    return (~covered[head.faces].all(dim=1)).nonzero()[:, 0]
