"""Simple pictures of small environments, drawn from their states."""

from collections.abc import Callable
from typing import Any

import numpy as np

# The colors of a grid's channels; an earlier channel covers a later one.
PALETTE = np.array(
    [
        (255, 255, 255),
        (230, 80, 60),
        (250, 190, 60),
        (70, 140, 230),
        (90, 190, 110),
        (170, 110, 200),
        (90, 200, 210),
        (240, 140, 190),
        (150, 110, 80),
        (150, 150, 150),
    ],
    np.uint8,
)
BACKGROUND = (20, 20, 30)


def grid(observation: np.ndarray, height: int, width: int) -> np.ndarray:
    """Color the cells of a grid by channel and enlarge them.

    Args:
        observation: [rows, columns, channels] with at most 10 channels; a channel is in a cell where it is above 0.
        height: of the picture, at most, in pixels.
        width: likewise.

    Returns:
        uint8[rows * k, columns * k, 3] with the largest even k that fits.
    """
    rows, columns, channels = observation.shape
    colors = np.array([*PALETTE[:channels], BACKGROUND], np.uint8)
    there = np.concatenate([observation > 0, np.ones((rows, columns, 1), bool)], axis=2)
    size = max(2, min(height // rows, width // columns) // 2 * 2)
    return colors[np.argmax(there, axis=2)].repeat(size, axis=0).repeat(size, axis=1)


def scenes(
    draw: Callable[[Any, Any, Any], None], states: list[Any], params: Any, height: int, width: int
) -> list[np.ndarray]:
    """Draw each of `states` by `draw(axes, state, params)`; the pictures are uint8[height, width, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width / 100, height / 100), dpi=100)
    canvas, axes, out = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1)), []
    for state in states:
        axes.clear()
        axes.set_axis_off()
        draw(axes, state, params)
        canvas.draw()
        out.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return out


def cart_pole(axes: Any, state: Any, params: Any) -> None:
    x, angle, length = float(state.x), float(state.theta), 2 * params.length
    window(axes, 0.5, 1.6 * params.x_threshold)
    axes.axhline(0, color="0.7", linewidth=1, zorder=0)
    axes.vlines([-params.x_threshold, params.x_threshold], -0.3, 0.3, color="0.5")
    axes.fill_between([x - 0.25, x + 0.25], -0.12, 0.12, color="tab:blue")
    axes.plot([x, x + length * np.sin(angle)], [0, length * np.cos(angle)], color="tab:orange", linewidth=5)


def pendulum(axes: Any, state: Any, params: Any) -> None:
    angle = float(state.theta)  # 0 is upright
    window(axes, 0, 2.4 * params.l)
    axes.plot([0, -params.l * np.sin(angle)], [0, params.l * np.cos(angle)], color="tab:orange", linewidth=8)
    axes.plot(0, 0, "o", color="0.2")


def acrobot(axes: Any, state: Any, params: Any) -> None:
    first = float(state.joint_angle1)  # 0 hangs down
    both = first + float(state.joint_angle2)
    reach = params.link_length_1 + params.link_length_2
    x = np.cumsum([0, params.link_length_1 * np.sin(first), params.link_length_2 * np.sin(both)])
    y = np.cumsum([0, -params.link_length_1 * np.cos(first), -params.link_length_2 * np.cos(both)])
    window(axes, 0, 2.3 * reach)
    axes.axhline(params.link_length_1, color="0.7", linewidth=1)  # the goal
    axes.plot(x, y, "-o", color="tab:blue", markerfacecolor="0.2", markeredgecolor="0.2", linewidth=6)


def mountain_car(axes: Any, state: Any, params: Any) -> None:
    hill = lambda x: np.sin(3 * x)
    x = np.linspace(params.min_position, params.max_position, 100)
    at = float(state.position)
    window(axes, 0.1, 2.8, (params.min_position + params.max_position) / 2)
    axes.plot(x, hill(x), color="0.5")
    axes.plot([params.goal_position] * 2, hill(params.goal_position) + np.array([0, 0.3]), color="tab:green", lw=3)
    axes.plot(at, hill(at) + 0.08, "o", color="tab:orange", markersize=12)


CLASSIC = {
    "CartPole-v1": cart_pole,
    "Pendulum-v1": pendulum,
    "Acrobot-v1": acrobot,
    "MountainCar-v0": mountain_car,
    "MountainCarContinuous-v0": mountain_car,
}


def window(axes: Any, middle: float, height: float, center: float = 0.0) -> None:
    """Show a window of this height, and a third wider, around (center, middle), with both axes to scale."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlim(center - height * 2 / 3, center + height * 2 / 3)
    axes.set_ylim(middle - height / 2, middle + height / 2)
