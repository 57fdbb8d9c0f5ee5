"""IRN as an agent: a transformer of the log that sees where the path is to end.

The network is :mod:`recgym.models.irn`. The input at each step is

    [padding | history and path | gap | objective],

and the next item is read off the last item of the path. In training the gap says how far away the
objective is: at gap 0 a network that is trained for long copies it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError, at_least, some_items
from recgym.agents.influence_path import decoding
from recgym.agents.influence_path.rec2inf import nearest_first
from recgym.data.log import DataError
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import final_offer, members
from recgym.evaluators import backbones
from recgym.evaluators.top_k import best_first, moved_up

WEIGHTS = "weights.safetensors"
CHUNK = 128  # rows per forward pass


@dataclass(frozen=True)
class IRNAgentConfig(AgentConfig):
    """Architecture, training and decoding; the defaults train in about a minute on one core."""

    # what it does with its network
    gap: int | Literal["left"] = "left"
    """Places between the path and the objective: a number, or the steps left."""
    nearest: bool = False
    """Of the k best items take the one nearest to the objective, not the best."""
    k: int = 50
    """Candidates of ``nearest``."""
    final_offer: bool = False
    """Propose the objective with the last recommendation."""
    decoding: Literal["greedy", "sampled", "beam"] = "greedy"
    """The best item, a draw from softmax(scores / temperature), or a beam's first item."""
    temperature: float = 1.0
    """Of a draw; near 0 it is greedy."""
    beams: int = 5
    """Paths that a beam keeps."""
    depth: int = 3
    """Steps that a beam looks ahead; it plans anew at every step."""
    decode_w_t: float | None = None
    """w_t in decoding, where it is not that of training (the paper's aggressiveness degree)."""

    # the network (:class:`recgym.models.irn.IRNConfig`)
    mask_type: Literal[1, 2, 3] = 3
    """1: the objective is visible; 2: with the weight w_t; 3: with w_t·r_u (Table V)."""
    w_t: float = 1.0
    """Weight of the objective in the attention (Eq. 4)."""
    w_h: float = 0.05
    """Weight of the history there."""
    objective_reads: bool = False
    """Whether the objective's position attends to the items; it leaks targets in training."""
    width: int = 64
    """Of item embeddings."""
    layers: int = 2
    heads: int = 2
    feed_forward: int = 256
    dropout: float = 0.05
    length: int = 60
    """Tokens of the input, the gap and the objective included."""
    user_width: int = 10
    """Of user embeddings, from which r_u comes."""

    # its training (:class:`recgym.models.irn_training.IRNTraining`)
    epochs: int = 30
    batch: int = 32
    learning_rate: float = 2e-3
    shortest: int = 20
    longest: int = 60
    """Training segments have shortest to longest items."""
    keep_short: bool = False
    """Whether a history shorter than ``shortest`` teaches too, padded, as in the paper."""
    objective_in_loss: bool = True
    """Learn to predict the objective itself from its predecessor, as the paper does."""
    patience: int = 4
    """Epochs without a better validation loss after which training stops; 0: the last epoch."""
    init_std: float = 0.1
    """Item embeddings start from PPMI vectors of this standard deviation; 0: random."""
    resume: bool = True
    """Keep the training in the cache, to continue it and to share it; False trains anew."""


class IRNAgent(Agent):
    """Decodes a batch of users at once, greedily over unseen items. Untrained before `learn`."""

    name = "irn"
    Config = IRNAgentConfig
    config: IRNAgentConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: IRNAgentConfig | None = None):
        super().__init__(env, config)
        import torch

        from recgym.models.irn import IRNConfig, new_irn
        from recgym.models.irn_training import IRNTraining

        c, log = self.config, self.problem.log
        if c.nearest:
            some_items(c.k, log.n_items)
        if c.nearest and c.decoding != "greedy":
            raise AgentError(f"nearest goes with greedy decoding, not {c.decoding!r}.")
        if not 0 < c.temperature < np.inf:
            raise AgentError(f"temperature must be positive, got {c.temperature}.")
        if c.decode_w_t is not None and not np.isfinite(c.decode_w_t):
            raise AgentError(f"decode_w_t must be finite, got {c.decode_w_t}.")
        if c.decode_w_t is not None and c.mask_type == 1:
            raise AgentError("decode_w_t has no effect with mask_type 1, which has no weights.")
        if not 0 <= c.init_std < np.inf:
            raise AgentError(f"init_std must be at least 0, got {c.init_std}.")
        if c.shortest > c.length:
            raise AgentError(
                f"shortest ({c.shortest}) must be at most length ({c.length}), an input's tokens."
            )
        at_least(c, 1, "k", "beams", "depth")
        longest_gap = c.length - 2  # an item and the objective remain
        gap = self.problem.params.horizon if c.gap == "left" else c.gap
        if not isinstance(gap, int | np.integer) or not 0 <= gap <= longest_gap:
            raise AgentError(
                f'gap must be "left" or in 0..{longest_gap} (length - 2), got {c.gap!r}'
                + (f" with {gap} steps. Raise length." if c.gap == "left" else ".")
            )
        try:
            sizes = {"n_items": log.n_items, "n_users": log.n_users}
            self.architecture = IRNConfig(**sizes, **_shared(c, IRNConfig))
            self.training = IRNTraining(**_shared(c, IRNTraining))
        except ValueError as error:
            raise AgentError(str(error)) from None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed)
            self.network = new_irn(log, self.architecture, c.init_std)
        self.vectors = backbones.item_vectors(log)
        self.curve: list[dict[str, float]] = []
        """Of :meth:`learn`, epoch by epoch: ``epoch``, ``loss``, ``validation`` (loss)."""

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> IRNAgent:
        """Train on the log without each user's last item; ``config.epochs`` at most.

        There are no environment steps: ``total_timesteps`` is not used. With ``config.resume`` an
        interrupted training is continued, and a finished one is read from the cache: agents that
        differ in decoding alone share one.

        Raises:
            AgentError: histories too short to cut into segments.
            StoreError: a damaged checkpoint.
        """
        from contextlib import nullcontext

        from filelock import FileLock
        from tqdm import tqdm

        from recgym.models.irn_training import IRNProgress, fit_irn

        seed = self.seed_of(seed)
        bar = tqdm(total=self.config.epochs, disable=not progress, desc="irn", unit="epoch")

        def report(now: IRNProgress) -> None:
            last = now.curve[-1]
            bar.set_postfix(loss=f"{last['loss']:.3f}", validation=f"{last['validation']:.3f}")
            bar.update(now.epoch - bar.n)

        folder = self.checkpoint(seed) if self.config.resume else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with nullcontext() if folder is None else FileLock(folder / "lock"):
                log, shape, training = self.problem.log, self.architecture, self.training
                self.network, record = fit_irn(
                    log, shape, training, seed, checkpoint=folder, report=report
                )
        except DataError as error:
            raise AgentError(str(error)) from None
        finally:
            bar.close()
        self.curve = record.curve
        self.training_record = {
            "epochs": record.epoch,
            "best_epoch": record.best_epoch,
            "validation_loss": round(record.best, 4),
            "seconds": round(record.seconds, 1),
        }
        return self

    def checkpoint(self, seed: int) -> Path:
        """The folder in the cache that belongs to this training."""
        from recgym.data.paths import cache_dir
        from recgym.models.checkpoint import identity

        log, parts = self.problem.log, (self.architecture.to_dict(), self.training.to_dict(), seed)
        return cache_dir() / "agents" / f"irn-{log.name}-{identity(log.fingerprint, *parts)[:16]}"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        c, history = self.config, observation["history"]
        objective, steps_left = observation["objective"], observation["steps_left"]
        legal, everyone = observation["action_mask"] > 0, np.arange(len(objective))

        def score(rows: np.ndarray, histories: np.ndarray, ahead: int) -> np.ndarray:
            gap = self._gap(steps_left[rows] - ahead)
            return self.scores(histories, objective[rows], observation["user"][rows], gap)

        scores = np.where(legal, score(everyone, history, 0), -np.inf)
        if c.decoding == "beam":
            ends = members(observation)
            action = decoding.beam(score, history, legal, ends, steps_left, c.beams, c.depth)
        elif c.decoding == "sampled":
            action = decoding.sample(scores, c.temperature, self.rng)
        elif c.nearest:
            action = nearest_first(scores, c.k, self.vectors, observation)[:, 0]
        else:
            action = scores.argmax(axis=1)
        if self.config.final_offer:
            action = final_offer(observation, action, scores)
        return action

    def preferences(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, N) finite: what greedy decoding would recommend first has the most (Table IV)."""
        c, gap = self.config, self._gap(observation["steps_left"])
        history, objective, user = (observation[k] for k in ("history", "objective", "user"))
        scores = self.scores(history, objective, user, gap)
        scores = np.where(observation["action_mask"] > 0, scores, -np.inf)
        order = best_first(scores, 1)
        if c.nearest:
            order = nearest_first(scores, c.k, self.vectors, observation)
        return moved_up(scores, order)

    def _gap(self, steps_left: np.ndarray) -> np.ndarray:
        """(B,) places between the path and the objective."""
        c = self.config
        if c.gap != "left":
            return np.full_like(steps_left, c.gap)
        if steps_left.max() > c.length - 2:
            raise AgentError(
                f"steps_left is {steps_left.max()}, but of {c.length} tokens (length) at most "
                f"{c.length - 2} are a gap. Make the agent with more."
            )
        return steps_left

    def scores(
        self, history: np.ndarray, objective: np.ndarray, user: np.ndarray, gap: np.ndarray
    ) -> np.ndarray:
        """(B, N) float32 logits of the next item (Eq. 7).

        Raises:
            FloatingPointError: the network returned NaN or infinity.
        """
        import torch

        inputs = [torch.as_tensor(np.asarray(x, np.int64)) for x in (history, objective, user, gap)]
        parts = zip(*(x.split(CHUNK) for x in inputs), strict=True)
        with torch.inference_mode():
            w_t = self.config.decode_w_t
            scores = torch.cat([self.network.scores(*part, w_t=w_t) for part in parts]).numpy()
        if not np.isfinite(scores).all():
            raise FloatingPointError("irn: scores are not finite. Train it with a lower rate.")
        return scores

    def impressionability(self) -> np.ndarray:
        """(U,) float32: r_u of every user (Eq. 5, Fig. 8)."""
        import torch

        with torch.inference_mode():
            return self.network.r(torch.arange(self.problem.log.n_users)).numpy()

    def save(self, path: str | Path) -> None:
        from recgym.models.store import write_tensors

        write_tensors(Path(path) / WEIGHTS, self.network.state_dict())
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> IRNAgent:
        from recgym.models.store import StoreError, read_weights

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / WEIGHTS
        try:
            agent.network.load_state_dict(read_weights(file))
        except RuntimeError:
            raise StoreError(
                f"{file} does not fit the network that agent.json describes. "
                "Train and save the agent again."
            ) from None
        return agent


def _shared(config: IRNAgentConfig, kind: type) -> dict[str, Any]:
    """The settings of ``config`` that ``kind``, another configuration, has too."""
    return {f.name: getattr(config, f.name) for f in fields(kind) if hasattr(config, f.name)}
