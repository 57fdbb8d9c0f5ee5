"""A pygame window that shows frames: the `human` render mode of every environment."""

from __future__ import annotations

import os

import gymnasium as gym
import numpy as np


class Window:
    """Opens on the first frame, takes its size, and keeps to the frame rate.

    When the user closes it, it stays closed and later frames are dropped.

    Raises:
        gymnasium.error.DependencyNotInstalled: without pygame.
    """

    def __init__(self, title: str):
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it prints on import
        try:
            import pygame
        except ImportError:
            raise gym.error.DependencyNotInstalled(
                'render_mode="human" needs pygame. Run: pip install "recgym[render]"'
            ) from None
        self._pygame = pygame
        pygame.display.init()
        self._title, self._screen, self._closed = title, None, False
        self._clock = pygame.time.Clock()

    def wanted(self) -> bool:
        """Whether the user still looks: false once she has closed the window."""
        if not self._closed and self._screen is not None:
            events = self._pygame.event.get()
            if any(event.type == self._pygame.QUIT for event in events):
                self.close()
        return not self._closed

    def show(self, frame: np.ndarray, fps: int) -> None:
        """Draw a frame (H, W, 3) uint8."""
        if not self.wanted():
            return
        pygame = self._pygame
        if self._screen is None:
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            pygame.display.set_caption(self._title)
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(fps)

    def close(self) -> None:
        self._pygame.display.quit()
        self._screen, self._closed = None, True
