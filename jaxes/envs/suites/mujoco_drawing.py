"""Pictures of MuJoCo's models, with or without a screen: what moves is near, and before a light background."""

import copy
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxes.envs.suites.mujoco_tools import without_screen

SKY, FLOOR, CONTRAST = (0.84, 0.9, 0.96), 0.6, 0.12
_COLORS = ((0.15, 0.4, 0.65), (0.95, 0.5, 0.1), (0.15, 0.55, 0.2), (0.75, 0.15, 0.15), (0.5, 0.35, 0.65))
_SHINE = 20.0  # so that other lights make no difference


class View(NamedTuple):
    """From where a model is drawn."""

    azimuth: float = 90.0  # degrees; 90 looks along y
    elevation: float = -12.0  # degrees; -90 looks down
    margin: float = 1.35  # of the picture, as a multiple of the size of what moves


VIEWS = {  # of the tasks that Brax and gymnasium share; others are seen from the side
    "ant": View(elevation=-25),
    "pusher": View(azimuth=150, elevation=-35),
    "reacher": View(elevation=-75),
    "swimmer": View(elevation=-60),
}


def draw(
    model: Any, moments: Iterable[Mapping[str, Any]], height: int, width: int, camera: int | View = View()
) -> list[np.ndarray]:
    """Draw a `mujoco.MjModel`.

    Args:
        model: what to draw.
        moments: for each picture the values to set in the model's `mujoco.MjData`: qpos, qvel, ...
        height: of a picture, in pixels.
        width: of a picture, in pixels.
        camera: the number of one of the model's cameras; or a `View`, near and before a light background, that follows
            what can leave its place.

    Returns:
        Pictures, uint8[height, width, 3].

    Raises:
        OSError: if there is no OpenGL.
    """
    import mujoco

    followed = isinstance(camera, View)
    if followed:
        model = _lightened(model)
    data, view, out = mujoco.MjData(model), mujoco.MjvCamera(), []
    scene: Any = None
    with _renderer(model, height, width) as renderer:
        for moment in moments:
            for name, value in moment.items():
                setattr(data, name, value)
            mujoco.mj_forward(model, data)
            if isinstance(camera, View):
                if scene is None:
                    scene = _Scene(model, data, camera, width / height)
                scene.aim(view, data)
            else:
                view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, camera
            renderer.update_scene(data, view)
            if followed:
                scene.put_wall(renderer.scene, view)
            out.append(renderer.render())
    return out


def _renderer(model: Any, height: int, width: int) -> Any:
    import mujoco

    contexts: Any = getattr(sys.modules[mujoco.Renderer.__module__], "gl_context", None)
    if without_screen() and contexts is not None and "glfw" in contexts.GLContext.__module__:
        os.environ["MUJOCO_GL"] = "egl"
        importlib.reload(contexts)  # MuJoCo was imported before anybody said that there is no screen
    try:
        return mujoco.Renderer(model, height, width)
    except Exception as error:  # whatever the platform's OpenGL raises
        needs = "libegl1, and MUJOCO_GL=egl before MuJoCo is imported"
        raise OSError(f"MuJoCo cannot draw here: {error}; on Linux without a screen it needs {needs}") from None


class _Scene:
    """Where the camera is, and a wall behind everything."""

    def __init__(self, model: Any, data: Any, view: View, aspect: float):
        import mujoco

        free = {int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)}
        planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        first = model.jnt_bodyid == 1 if model.nbody > 1 else np.zeros(model.njnt, bool)
        self.follows = bool(planes.any()) and bool(free & set(model.jnt_type[first].tolist()))
        seen = ~planes & (model.geom_rgba[:, 3] > 0) & (model.geom_group < 3)
        if self.follows:
            seen &= model.geom_bodyid > 0
        turned = data.geom_xmat.reshape(-1, 3, 3)
        middle = data.geom_xpos + np.einsum("gij,gj->gi", turned, model.geom_aabb[:, :3])
        reach = np.einsum("gij,gj->gi", np.abs(turned), model.geom_aabb[:, 3:])
        low, high = (middle - reach)[seen].min(axis=0), (middle + reach)[seen].max(axis=0)
        self.center, half = (low + high) / 2, (high - low) / 2
        self.offset = self.center - data.subtree_com[1 if self.follows else 0]
        azimuth, elevation = np.radians(view.azimuth), np.radians(view.elevation)
        right = np.array([np.sin(azimuth), -np.cos(azimuth), 0])
        forward = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        up = np.cross(right, forward)
        across, along = np.abs(right) @ half, np.abs(up) @ half
        slope = np.tan(np.radians(model.vis.global_.fovy) / 2)
        self.view, self.forward, self.up, self.right = view, forward, up, right
        self.distance = view.margin * max(along / slope, across / (slope * aspect)) + np.abs(forward) @ half

    def aim(self, camera: Any, data: Any) -> None:
        import mujoco

        camera.type, camera.distance = mujoco.mjtCamera.mjCAMERA_FREE, self.distance
        camera.azimuth, camera.elevation = self.view.azimuth, self.view.elevation
        camera.lookat[:] = self.center
        if self.follows:
            camera.lookat[:2] = (data.subtree_com[1] + self.offset)[:2]

    def put_wall(self, scene: Any, camera: Any) -> None:
        """A wall that shines by itself, so far away that it is behind the floor that is near."""
        import mujoco

        wall, away = scene.geoms[scene.ngeom], 6 * self.distance
        frame = np.stack([self.right, self.up, -self.forward], axis=1)
        size, where = np.array([6.0, 6.0, 0.01]) * self.distance, camera.lookat + away * self.forward
        color = np.array([*(level / _SHINE for level in SKY), 1.0], np.float32)
        mujoco.mjv_initGeom(wall, mujoco.mjtGeom.mjGEOM_BOX, size, where, frame.ravel(), color)
        wall.emission, wall.specular, wall.shininess, wall.reflectance = _SHINE, 0.0, 0.0, 0.0
        wall.category = mujoco.mjtCatBit.mjCAT_DECOR
        scene.ngeom += 1


def _lightened(model: Any) -> Any:
    """The same model with a light floor of pale squares, more light, and if it has few bodies, each in its color."""
    import mujoco

    model = copy.deepcopy(model)
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    model.geom_rgba[planes, :3] = np.where(model.geom_matid[planes, None] < 0, FLOOR, 1)
    if model.nbody <= len(_COLORS) + 1:  # in one color a target looks like an arm
        moving = np.flatnonzero((model.geom_bodyid > 0) & (model.geom_rgba[:, 3] > 0))
        model.geom_matid[moving] = -1
        model.geom_rgba[moving, :3] = np.array(_COLORS)[model.geom_bodyid[moving] - 1]
    for material in {int(m) for m in model.geom_matid[planes] if m >= 0}:
        model.mat_reflectance[material] = 0
        model.mat_rgba[material] = 1
        for texture in {int(t) for t in model.mat_texid[material] if t >= 0}:
            begin, size = model.tex_adr[texture], model.tex_height[texture] * model.tex_width[texture]
            pixels = model.tex_data[begin : begin + size * model.tex_nchannel[texture]]
            pale = 255 * FLOOR + CONTRAST * (pixels.astype(float) - pixels.mean())
            pixels[:] = np.clip(pale, 0, 255).astype(np.uint8)
    model.light_castshadow[:] = False  # a large floor would have streaks
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.5, 0.6
    return model
