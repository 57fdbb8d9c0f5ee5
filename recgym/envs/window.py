"""A pygame window that shows frames: the `human` render mode of every environment."""

from __future__ import annotations

import gymnasium as gym
import numpy as np


class Window:
    """Opens on the first frame, follows its size, and keeps to the frame rate."""

    def __init__(self, title: str):
        try:
            import pygame
        except ImportError:
            raise gym.error.DependencyNotInstalled(
                'render_mode="human" needs pygame. Run: pip install "recgym[render]"'
            ) from None
        self._pygame = pygame
        pygame.display.init()
        self._title, self._screen = title, None
        self._clock = pygame.time.Clock()

    def show(self, frame: np.ndarray, fps: int) -> None:
        """Draw a frame (H, W, 3) uint8."""
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
        self._screen = None
