"""Pictures of planar worlds as gymnasium draws its own: 20 x 13.33 m of the world, 30 pixels to a meter."""

import numpy as np

SCALE, WIDTH, HEIGHT = 30.0, 600, 400  # pixels of gymnasium's pictures
FINE = 2  # a picture is drawn so many times larger, and made small again, so that its edges are smooth

Color = tuple[int, int, int]


class Canvas:
    """A picture to draw on, in meters, whose lower left corner is at (`left`, `bottom`).

    Args:
        height: of the picture, at most, in pixels; it is as much smaller as it must be for gymnasium's 3:2.
        width: likewise.
        color: of the background.
        left: x of the left edge, in meters.
        bottom: y of the lower edge, in meters.

    >>> canvas = Canvas(360, 480, (215, 215, 255))
    >>> canvas.polygon([(1, 1), (2, 1), (2, 2)], (255, 255, 255))
    >>> picture = canvas.picture()
    >>> picture.shape, picture[0, 0].tolist()
    ((320, 480, 3), [215, 215, 255])
    """

    def __init__(self, height: int, width: int, color: Color, left: float = 0.0, bottom: float = 0.0):
        from PIL import Image, ImageDraw

        self.zoom = min(width / WIDTH, height / HEIGHT)
        fine = lambda side: 2 * FINE * max(1, int(side * self.zoom / 2 + 1e-6))  # an even number when it is small again
        self.image = Image.new("RGB", (fine(WIDTH), fine(HEIGHT)), color)
        self.draw, self.left, self.bottom = ImageDraw.Draw(self.image), left, bottom

    def _pixels(self, points) -> list[tuple[float, float]] | None:
        """The points in pixels; None if a number of them is not finite."""
        scaled = (np.asarray(points, float) - (self.left, self.bottom)) * (SCALE * self.zoom * FINE)
        scaled[:, 1] = self.image.height - scaled[:, 1]
        return list(map(tuple, np.clip(scaled, -1e6, 1e6))) if np.isfinite(scaled).all() else None

    def polygon(self, points, color: Color, outline: Color | None = None) -> None:
        """Fill a polygon, float[n, 2]; with an outline if that has a color. Nothing is drawn of what is not finite."""
        if pixels := self._pixels(points):
            self.draw.polygon(pixels, color)
            self._stroke([*pixels, pixels[0]], outline or color)

    def line(self, points, color: Color) -> None:
        """A thin line through points, float[n, 2]."""
        if pixels := self._pixels(points):
            self._stroke(pixels, color)

    def _stroke(self, pixels, color: Color) -> None:
        self.draw.line(pixels, color, max(2, round(1.5 * FINE * self.zoom)), joint="curve")

    def disc(self, center, radius: float, color: Color) -> None:
        """Fill a circle around `center`, float[2]."""
        if pixels := self._pixels([center]):
            (x, y), r = pixels[0], radius * SCALE * self.zoom * FINE
            self.draw.ellipse((x - r, y - r, x + r, y + r), color)

    def picture(self) -> np.ndarray:
        """What was drawn, uint8[height, width, 3]."""
        return np.asarray(self.image.reduce(FINE))


def placed(shape: np.ndarray, position: np.ndarray, angle: float) -> np.ndarray:
    """The corners, float[n, 2], of a body's shape around its center of mass, turned and moved to where the body is."""
    sin, cos = np.sin(angle), np.cos(angle)
    return np.asarray(position, float) + shape @ np.array([[cos, sin], [-sin, cos]])
