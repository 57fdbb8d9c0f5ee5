"""Networks: the cheap scoring equals the plain pass, and nothing leaks from the future."""

import numpy as np
import pytest
import torch

from recgym import data
from recgym.models import model_class, names
from recgym.models.base import left_fit
from recgym.models.cooccurrence import cooccurrence_counts, ppmi_vectors

N, LENGTH = 30, 12


def fresh(name, **config):
    torch.manual_seed(0)
    kind = model_class(name)
    return kind(kind.Config(n_items=N, length=LENGTH, width=16, **config))


def build(name, **config):
    model = fresh(name, **config)
    for parameter in model.parameters():  # biases too: the shortcuts drop and add some of them
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def histories(rows=20, length=LENGTH, seed=0):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, N, (rows, length))
    kept = rng.integers(0, length + 1, rows)
    kept[:2] = 0, length
    tokens[np.arange(length) < length - kept[:, None]] = N
    return torch.as_tensor(tokens)


@pytest.mark.parametrize("name", names())
def test_scores_are_finite_and_shaped(name):
    """Pre-padded and empty rows too: PyTorch's fused inference path made them NaN."""
    with torch.inference_mode():
        scores = build(name).scores(histories())
    assert scores.shape == (20, N)
    assert torch.isfinite(scores).all()


def test_bert4rec_last_position_equals_the_full_pass():
    model = build("bert4rec", layers=3)
    tokens = histories()
    torch.testing.assert_close(model.scores(tokens), model.scores_full(tokens), atol=1e-5, rtol=0)


def test_sasrec_last_position_equals_the_full_pass():
    from recgym.models.transformer import visible_keys

    model = build("sasrec", layers=3)
    tokens = histories()
    x = model._embed(tokens)
    for block in model.blocks:
        x = block(x, visible_keys(tokens == N, causal=True))
    full = model._logits(x[:, -1])
    torch.testing.assert_close(model.scores(tokens), full, atol=1e-5, rtol=0)


def test_sasrec_sees_no_future():
    model = build("sasrec")
    tokens = histories(rows=4)
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % N
    from recgym.models.transformer import visible_keys

    def hidden(t):
        x = model._embed(t)
        for block in model.blocks:
            x = block(x, visible_keys(t == N, causal=True))
        return x

    torch.testing.assert_close(hidden(tokens)[:, :-1], hidden(changed)[:, :-1])
    assert not torch.allclose(hidden(tokens)[:, -1], hidden(changed)[:, -1])


def test_bert4rec_sees_both_sides():
    model = build("bert4rec")
    tokens = histories(rows=4, seed=3)
    tokens[:] = torch.arange(LENGTH) % N
    changed = tokens.clone()
    changed[:, 1] = 29  # the first column that the window of LENGTH − 1 keeps
    assert not torch.allclose(model.scores(tokens), model.scores(changed))


@pytest.mark.parametrize("name", names())
def test_only_the_window_counts(name):
    model = build(name)
    tokens = histories()
    longer = torch.cat([torch.full((20, 5), 3), tokens], dim=1)
    full = (tokens != N).all(dim=1)
    torch.testing.assert_close(model.scores(longer)[full], model.scores(tokens)[full])


@pytest.mark.parametrize("name", names())
def test_loss_falls(name):
    """A deterministic cycle is learned: far below the uniform guess log N."""
    model = fresh(name, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    starts = torch.arange(64)[:, None]
    tokens = (starts + torch.arange(LENGTH + 1)) % N
    for _ in range(150):
        loss = model.loss(tokens, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * np.log(N)
    best = model.eval().scores(tokens[:, :-1]).argmax(dim=1)
    assert (best == tokens[:, -1]).float().mean() > 0.5  # chance: 1/30


@pytest.mark.parametrize("name", names())
def test_loss_of_windows_with_little(name):
    """Windows of padding and one item are legal training input."""
    model = build(name).train()
    tokens = torch.full((4, LENGTH), N)
    tokens[1:, -1] = 5
    tokens[2:, -2] = 7
    assert torch.isfinite(model.loss(tokens, torch.Generator().manual_seed(0)))


def test_unknown_model_and_settings_are_refused():
    with pytest.raises(ValueError, match="Known: bert4rec, sasrec"):
        model_class("gru")
    with pytest.raises(ValueError, match="depth"):
        model_class("sasrec").Config.from_dict({"n_items": 3, "depth": 2})
    with pytest.raises(ValueError, match="multiple of heads"):
        build("sasrec", heads=3)


def test_left_fit_pads_and_cuts():
    tokens = torch.tensor([[1, 2, 3]])
    assert left_fit(tokens, 5, 9).tolist() == [[9, 9, 1, 2, 3]]
    assert left_fit(tokens, 2, 9).tolist() == [[2, 3]]


def tiny_log(item, user):
    return data.InteractionLog.from_columns("t", np.array(user), np.array(item))


def test_cooccurrence_counts_by_hand():
    log = tiny_log([0, 1, 2, 0, 1], [0, 0, 0, 1, 1])
    counts = cooccurrence_counts(log, 2, decay=0.5, directed=True).toarray()
    assert counts.tolist() == [[0, 2, 0.5], [0, 0, 1], [0, 0, 0]]
    both = cooccurrence_counts(log, 2, decay=0.5).toarray()
    assert np.array_equal(both, counts + counts.T)


def test_ppmi_vectors_are_reproducible_and_group_items():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 20)
    group = user % 2
    log = tiny_log(rng.integers(0, 10, len(user)) + 10 * group, user)
    vectors = ppmi_vectors(log, 4)
    assert np.array_equal(vectors, ppmi_vectors(log, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[:10, :10].mean() > cosine[:10, 10:].mean() + 0.5
