"""Networks: the cheap scoring equals the plain pass, and nothing leaks from the future."""

import numpy as np
import pytest
import torch

from recgym import data
from recgym.models import model_class, names, training
from recgym.models.base import left_fit
from recgym.models.cooccurrence import cooccurrence_counts, ppmi_vectors
from recgym.models.gru4rec import to_left

N, LENGTH = 30, 12


def fresh(name, **config):
    torch.manual_seed(0)
    kind = model_class(name)
    return kind(kind.Config(**{"n_items": N, "length": LENGTH, "width": 16, **config}))


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


def test_gru4rec_padding_does_not_touch_the_state():
    """A pre-padded history gives what a plain recurrence over its items alone gives."""
    model = build("gru4rec", layers=2)
    tokens = histories()
    scores = model.scores(tokens)
    for row, expected in zip(tokens, scores, strict=True):
        items = row[row != N]
        if len(items) == 0:
            torch.testing.assert_close(expected, model.bias)
            continue
        state = model.gru(model.item(items[None]))[0][0, -1]
        torch.testing.assert_close(expected, model._logits(state), atol=1e-5, rtol=0)
    model.item.weight.data[N] = 99.0
    assert torch.equal(model.scores(tokens), scores)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((name, {}) for name in names()),
        *((name, {"layers": 2}) for name in names() if name != "caser"),  # which has none
        ("gru4rec", {"length": 1}),
        ("caser", {"length": 1}),
    ],
)
def test_what_follows_an_item_is_what_follows_the_history_with_it(name, shape):
    """`scores_after`, a shortcut where a model is causal, equals `scores` of what was appended."""
    model = build(name, **shape)
    tokens, items = histories(), torch.as_tensor(np.random.default_rng(1).integers(0, N, (20, 3)))
    after = model.scores_after(tokens, items)
    for column in range(3):
        appended = torch.cat([tokens, items[:, column : column + 1]], dim=1)
        torch.testing.assert_close(after[:, column], model.scores(appended), atol=1e-4, rtol=0)


def test_gru4rec_sees_no_future():
    model = build("gru4rec")
    tokens = to_left(histories(rows=6), N)
    for place in range(1, LENGTH):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % N
        before, after = model.hidden(tokens), model.hidden(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place], before[:, place])


def test_to_left_by_hand():
    tokens = torch.tensor([[9, 9, 1], [2, 3, 4], [9, 9, 9]])
    assert to_left(tokens, 9).tolist() == [[1, 9, 9], [2, 3, 4], [9, 9, 9]]


def test_caser_predicts_the_last_item_from_those_before_it():
    """The loss of a window is the cross-entropy of `scores` of its history, which lacks it."""
    model = build("caser")
    tokens = histories()
    tokens[:, -1] = torch.arange(20)
    expected = torch.nn.functional.cross_entropy(model.scores(tokens[:, :-1]), tokens[:, -1])
    torch.testing.assert_close(model.loss(tokens, torch.Generator()), expected)


def test_caser_padding_is_a_row_of_zeros():
    model = build("caser")
    tokens = histories()
    scores = model.scores(tokens)
    model.item.weight.data[N] = 99.0
    assert torch.equal(model.scores(tokens), scores)


def test_caser_filters_by_hand():
    """L = 2, one filter of each kind: heights 1 and 2, and a weighted sum of the rows."""
    kind = model_class("caser")
    torch.manual_seed(0)
    model = kind(kind.Config(n_items=N, length=2, width=3, horizontal=1, vertical=1))
    first, second = model.item.weight[4], model.item.weight[7]
    one, two = (conv.weight[0] for conv in model.horizontal)  # (d, height)
    bias = [conv.bias[0] for conv in model.horizontal]
    alone = torch.stack([first @ one[:, 0], second @ one[:, 0]]).max() + bias[0]
    pair = first @ two[:, 0] + second @ two[:, 1] + bias[1]
    rows = model.vertical.weight[0, 0] * first + model.vertical.weight[0, 1] * second
    features = torch.cat([torch.stack([alone, pair]).relu(), rows])
    expected = model.item.weight[:N] @ model.dense(features) + model.bias
    found = model.eval().scores(torch.tensor([[4, 7]]))[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", names())
def test_items_start_from_cooccurrence(name):
    log = tiny_log(np.random.default_rng(0).integers(0, N, 400), np.arange(400) // 20)
    network = training.build(log, name, {"width": 8, "length": 6}, training.TrainConfig())
    vectors = ppmi_vectors(log, 8)
    expected = torch.as_tensor(vectors * (0.1 / vectors.std()))
    torch.testing.assert_close(network.item.weight[:N].detach(), expected)
    counts = np.log1p(log.popularity)
    np.testing.assert_allclose(network.bias.detach(), counts - counts.mean(), atol=1e-6)


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
    with pytest.raises(ValueError, match="Known: bert4rec, bpr, caser, gru4rec, sasrec, transrec"):
        model_class("gru")
    with pytest.raises(ValueError, match="depth"):
        model_class("sasrec").Config.from_dict({"n_items": 3, "depth": 2})
    with pytest.raises(ValueError, match="multiple of heads"):
        build("sasrec", heads=3)
    for name in ("sasrec", "bert4rec", "gru4rec"):
        with pytest.raises(ValueError, match="layers must be at least 1"):
            build(name, layers=0)
    with pytest.raises(ValueError, match="mask_share must be in"):
        build("bert4rec", mask_share=1.5)


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
