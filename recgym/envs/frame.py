"""What the pictures and texts of all environments share: size, colours, letters, cutting."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import gymnasium as gym
import numpy as np

SIZE, DPI = (12.0, 6.0), 100  # inches, so 1200 × 600 pixels
INK, SOFT, FAINT, PAPER = "#22252b", "#7d828c", "#e7e8eb", "#ffffff"
FONT = "DejaVu Sans"  # ships with matplotlib


def new_frame() -> tuple[Any, Any]:
    """An empty (figure, canvas).

    Raises:
        gymnasium.error.DependencyNotInstalled: without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise gym.error.DependencyNotInstalled(
            'render_mode="rgb_array" and "human" need matplotlib. Run: pip install "recgym[plot]"'
        ) from None
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=PAPER)
    return figure, FigureCanvasAgg(figure)


def pixels(canvas: Any) -> np.ndarray:
    """(600, 1200, 3) uint8: what has been drawn."""
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


@functools.cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


def write(target: Any, x: float, y: float, text: str, size: float, **style: Any) -> Any:
    """Plain text: no mathematics in titles, and no warnings about glyphs that the font lacks."""
    text = "".join(c if ord(c) in _glyphs() else "?" for c in text)
    style = {"color": INK, "va": "center", "family": FONT, "parse_math": False, **style}
    return target.text(x, y, text, fontsize=size, **style)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """One line of printable text of at most ``width`` columns of a terminal."""
    text = "".join(c if c.isprintable() else " " for c in text)
    if sum(map(_columns, text)) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def cell(text: str, width: int) -> str:
    """:func:`cut`, filled up with blanks to ``width`` columns."""
    text = cut(text, width)
    return text + " " * (width - sum(map(_columns, text)))
