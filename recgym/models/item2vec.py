"""item2vec: skip-gram of the items that users took one after another, trained by gensim."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from recgym.data.log import InteractionLog


def item2vec(log: InteractionLog, width: int = 40, *, epochs: int = 5, seed: int = 0) -> np.ndarray:
    """(N, width) float32 vectors of items; users are the sentences and items the words.

    Barkan & Koenigstein, *Item2vec*, MLSP 2016. What is not an argument is as gensim has it: window
    5, 5 negatives, a rate that falls from .025 to .0001, subsampling of frequent items at .001. On
    some ten thousand events gensim's 5 epochs are too few: all vectors still point the same way.
    Of a history gensim takes the first 10,000 items. An item that nobody took has the zero vector.

    Args:
        epochs: passes over the log; 0 leaves the vectors as they were drawn.
        seed: of the drawn vectors and of training, below 2³².

    Raises:
        ValueError: fewer than 0 epochs, or a seed out of range.
        DependencyNotInstalled: gensim is missing; the message says how to get it.
    """
    if epochs < 0:
        raise ValueError(f"epochs must be at least 0, got {epochs}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in 0..2**32 - 1 for item2vec, got {seed}.")
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise DependencyNotInstalled(
            'item2vec needs gensim. Run: pip install "recgym[item2vec]"'
        ) from None
    sentences = [log.items_of(user).tolist() for user in range(log.n_users)]
    # one worker: with more the order of updates, and so the vectors, would differ from run to run
    model = Word2Vec(vector_size=width, sg=1, min_count=1, workers=1, seed=seed)
    model.build_vocab(sentences)
    if epochs:
        model.train(sentences, total_examples=len(sentences), epochs=epochs)
    vectors = np.zeros((log.n_items, width), dtype=np.float32)
    order: Any = model.wv.index_to_key
    vectors[order] = model.wv.vectors
    return vectors
