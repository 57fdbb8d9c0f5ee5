"""IRN: what each position sees, the mask's algebra, the gap's layout, and learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym import data
from recgym.data.splits import segments
from recgym.models import store
from recgym.models.irn import IRN, IRNConfig
from recgym.models.irn_training import IRNTraining, batches, fit_irn, trained_users

N, USERS, LENGTH = 30, 4, 12


def build(seed=0, **config):
    torch.manual_seed(seed)
    shape = {"width": 16, "layers": 2, "heads": 2, "feed_forward": 32, **config}
    model = IRN(IRNConfig(n_items=N, n_users=USERS, length=LENGTH, **shape))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def pieces(rows=8, seed=0):
    """(tokens (B, L) with 0..L − 1 places of padding and the objective last, users (B,))."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, N, (rows, LENGTH))
    kept = rng.integers(1, LENGTH + 1, rows)
    kept[:2] = 1, LENGTH  # nothing but the objective; full
    tokens[np.arange(LENGTH) < LENGTH - kept[:, None]] = N
    return torch.as_tensor(tokens), torch.as_tensor(rng.integers(0, USERS, rows))


@pytest.mark.parametrize("mask_type", [1, 2, 3])
def test_finite_in_both_modes_on_padded_rows(mask_type):
    """A plain causal mask is NaN on rows of padding; so was PyTorch's fused inference path."""
    model = build(mask_type=mask_type)
    tokens, user = pieces()
    with torch.inference_mode():
        assert torch.isfinite(model(tokens, user)).all()
    loss = model.train().loss(tokens, user)
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_no_position_sees_the_future_except_the_objective():
    model, (tokens, user) = build(), pieces()
    before = model(tokens, user)
    for place in range(1, LENGTH - 1):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % N
        after = model(changed, user)
        torch.testing.assert_close(after[:, :place], before[:, :place])
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % N
    assert ((model(changed, user) - before).abs().amax(dim=2) > 1e-4).all()  # at every position


def test_the_published_mask_leaks_the_future_from_the_second_layer_on():
    """Through the objective, which reads all items and is read by all: why ours does not."""
    tokens, user = pieces()
    changed = tokens.clone()
    changed[:, -2] = (changed[:, -2] + 1) % N
    for layers, leaks in ((1, False), (2, True)):
        model = build(layers=layers, objective_reads=True)
        same = torch.allclose(model(changed, user)[:, :-2], model(tokens, user)[:, :-2], atol=1e-5)
        assert same != leaks


def test_mask_by_hand():
    model = build(mask_type=3, w_t=2.0, w_h=0.5)
    tokens = torch.tensor([[N, 3, 4, 5]])
    r = model.r(torch.tensor([1])).item()
    inf = -torch.inf
    expected = [[inf, inf, inf, 2 * r], [inf, 0.5, inf, 2 * r], [inf, 0.5, 0.5, 2 * r]]
    expected.append([inf, inf, inf, 2 * r])  # the objective reads nothing
    torch.testing.assert_close(
        model.mask(tokens, torch.tensor([1]))[0, 0], torch.tensor(expected), atol=1e-6, rtol=0
    )
    for mask_type, w_h, w_t in ((1, 0.0, 0.0), (2, 0.5, 2.0)):
        other = build(mask_type=mask_type, w_t=2.0, w_h=0.5).mask(tokens, torch.tensor([1]))
        assert other[0, 0, 2].tolist() == [inf, w_h, w_h, w_t]


def test_a_constant_on_whole_rows_of_the_mask_changes_nothing():
    """Only w_t·r_u − w_h matters: the softmax is shift-invariant."""
    model, (tokens, user) = build(), pieces()
    mask = model.mask(tokens, user)
    shifted = mask + torch.linspace(-2, 2, LENGTH)[:, None]
    torch.testing.assert_close(model(tokens, user, shifted), model(tokens, user), atol=1e-5, rtol=0)
    heavier = mask.clone()
    heavier[..., -1] += 1.0
    assert not torch.allclose(model(tokens, user, heavier), model(tokens, user), atol=1e-3)


def test_training_starts_at_type_2():
    """r_u = 1 for every user before the first step."""
    torch.manual_seed(0)
    model = IRN(IRNConfig(n_items=N, n_users=USERS, length=LENGTH, width=16))
    assert model.r(torch.arange(USERS)).tolist() == [1.0] * USERS


def test_users_differ_only_under_type_3():
    tokens, _ = pieces()
    first, second = torch.zeros(8, dtype=torch.long), torch.ones(8, dtype=torch.long)
    for mask_type in (1, 2):
        model = build(mask_type=mask_type)
        assert torch.equal(model(tokens, first), model(tokens, second))
    model = build(mask_type=3)
    assert not torch.allclose(model(tokens, first), model(tokens, second), atol=1e-4)


@pytest.mark.parametrize("gap", [0, 1, 4, 9, 10, 99])
def test_scores_lay_out_history_gap_and_objective(gap):
    """Equal to the full pass over the row written out by hand, at the last item's place."""
    model = build()
    history = torch.tensor([[N, N, 1, 2, 3, 4, 5, 6, 7, 8]])
    gap_kept = min(gap, LENGTH - 2)
    row = [*history[0].tolist(), *[N] * gap_kept, 9]
    row = torch.tensor([([N] * LENGTH + row)[-LENGTH:]])
    user = torch.tensor([2])
    expected = model.project(model(row, user)[:, LENGTH - 2 - gap_kept])
    found = model.scores(history, torch.tensor([9]), user, torch.tensor([gap]))
    torch.testing.assert_close(found, expected)


def test_scores_of_rows_with_their_own_gaps():
    model = build()
    histories = torch.tensor([[N, 1, 2], [3, 4, 5], [N, N, N]])
    objective, user, gap = torch.tensor([7, 8, 9]), torch.tensor([0, 1, 2]), torch.tensor([0, 5, 2])
    together = model.scores(histories, objective, user, gap)
    assert torch.isfinite(together).all()  # an empty history too
    for row in range(3):
        one = slice(row, row + 1)
        alone = model.scores(histories[one], objective[one], user[one], gap[one])
        torch.testing.assert_close(together[one], alone)


def test_objective_in_loss():
    """Without its term the loss does not depend on what follows the last prediction."""
    model = build()
    tokens, user = pieces()
    tokens, user = tokens[1:2], user[1:2]  # full
    hidden = model(tokens, user)
    each = torch.nn.functional.cross_entropy(
        model.project(hidden[0, :-1]), tokens[0, 1:], reduction="none"
    )
    torch.testing.assert_close(model.loss(tokens, user), each.mean())
    without = model.loss(tokens, user, objective_in_loss=False)
    torch.testing.assert_close(without, each[:-1].mean())


def test_batches_are_segments_with_their_objective_last():
    log = data.load("synthetic")
    train, _ = segments(log, 8, 12, seed=0)
    tokens, user = next(batches(log, train, 15, 5, None))
    assert tokens.shape == (5, (train.stop - train.start)[:5].max())
    for row in range(5):
        events = log.item[train.start[row] : train.stop[row]]
        kept = tokens[row][tokens[row] < log.n_items]
        assert kept.tolist() == events.tolist()
        assert user[row] == train.user[row]


def test_shuffled_batches_hold_every_segment_once_with_little_padding():
    log = data.load("synthetic")
    train, _ = segments(log, 8, 12, seed=0)
    seen, padding, total = [], 0, 0
    for tokens, user in batches(log, train, 12, 32, np.random.default_rng(0)):
        real = tokens < log.n_items
        padding, total = padding + int((~real).sum()), total + tokens.numel()
        rows = zip(user.tolist(), tokens.tolist(), strict=True)
        seen += [(u, *(i for i in row if i < log.n_items)) for u, row in rows]
    pieces = zip(train.user, train.start, train.stop, strict=True)
    assert sorted(seen) == sorted((u, *log.item[a:z]) for u, a, z in pieces)
    assert padding < 0.03 * total


def test_loss_falls_and_training_is_reproducible():
    log = data.load("synthetic").keep(np.arange(12_000))
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, length=12, width=16, layers=1)
    training = IRNTraining(epochs=5, shortest=8, longest=12, learning_rate=5e-3)
    (model, first), (again, second) = (fit_irn(log, config, training, 0) for _ in range(2))
    assert first.curve == second.curve
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    losses = [point["loss"] for point in first.curve]
    assert losses[-1] < losses[0] - 0.3
    assert first.best < np.log(log.n_items) - 0.5  # the uniform guess: 6.2


class Stop(Exception):
    pass


@pytest.mark.parametrize("patience", [0, 2])
def test_an_interrupted_training_continues_to_the_same_network(tmp_path, patience):
    log = data.load("synthetic").keep(np.arange(6_000))
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, length=12, width=8, layers=1)
    training = IRNTraining(epochs=6, shortest=5, longest=12, learning_rate=5e-3, patience=patience)

    def stop(progress):
        if progress.epoch == 3:
            raise Stop

    with pytest.raises(Stop):
        fit_irn(log, config, training, 0, checkpoint=tmp_path, report=stop)
    epochs = []
    continued, record = fit_irn(
        log, config, training, 0, checkpoint=tmp_path, report=lambda p: epochs.append(p.epoch)
    )
    assert epochs[0] == 4
    whole, at_once = fit_irn(log, config, training, 0)
    assert [p["validation"] for p in record.curve] == [p["validation"] for p in at_once.curve]
    for key, value in whole.state_dict().items():
        assert torch.equal(value, continued.state_dict()[key])
    read, _ = fit_irn(log, config, training, 0, checkpoint=tmp_path, report=stop)
    assert torch.equal(read.item.weight, whole.item.weight)
    with pytest.raises(store.StoreError, match="another log, model or settings"):
        fit_irn(log, config, training, 1, checkpoint=tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"cut")
    with pytest.raises(store.StoreError, match=r"checkpoint\.safetensors"):
        fit_irn(log, config, training, 0, checkpoint=tmp_path)


def test_the_held_out_item_is_not_learned_from():
    """Two logs that differ in the last item of each user give the same network."""
    log = data.load("synthetic").keep(np.arange(4_000))
    last = log.offsets[1:][np.diff(log.offsets) > 0] - 1
    item = log.item.copy()
    item[last] = (item[last] + 1) % log.n_items
    other = data.InteractionLog.from_columns(
        "other",
        log.user,
        item,
        order=np.arange(len(log)),
        user_ids=log.user_ids,
        item_ids=log.item_ids,
    )
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, length=12, width=8, layers=1)
    training = IRNTraining(epochs=1, shortest=5, longest=8)
    first, second = (fit_irn(each, config, training, 0)[0] for each in (log, other))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


def test_users_without_a_training_segment_keep_the_vector_they_started_from():
    log = data.load("synthetic").keep(np.arange(4_000))
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, length=60, width=8, layers=1)
    training = IRNTraining(epochs=2, shortest=50, longest=60, patience=0)
    network, _ = fit_irn(log, config, training, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        start = IRN(config).user.weight
    moved = (network.user.weight != start).any(dim=1).numpy()
    trained = trained_users(log, config, training, 3)
    np.testing.assert_array_equal(moved, trained)
    assert 0 < trained.sum() < log.n_users
    count = np.diff(log.offsets) - 1
    short = (count >= 2) & (count < 50)
    assert short.sum() > 10
    whole = replace(training, keep_short=True)
    more = trained_users(log, config, whole, 3)
    assert (more & short).sum() > 0.7 * short.sum()  # a tenth of all segments is for validation
    assert not (trained & short).any()
    assert "keep_short" not in training.to_dict()  # digests of trainings before it stay


def test_short_histories_teach_without_their_objective_too():
    log = data.InteractionLog.from_columns(
        "short",
        np.r_[np.repeat(np.arange(50), 3), np.repeat(np.arange(50, 60), 30)],
        np.random.default_rng(0).integers(0, 40, 450),
        item_ids=np.arange(40),
    )
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, width=8, layers=1)
    settings = {"epochs": 1, "batch": 8, "keep_short": True, "objective_in_loss": False}
    _, record = fit_irn(log, config, IRNTraining(**settings), 0)  # histories of 2 have no target
    assert np.isfinite(record.best)
    trained = trained_users(log, config, IRNTraining(**settings), 0)
    assert not trained[:50].any()
    assert trained_users(log, config, IRNTraining(keep_short=True), 0)[:50].any()


def test_what_cannot_be_trained_is_refused():
    log = data.load("synthetic")
    config = IRNConfig(n_items=log.n_items, n_users=log.n_users, width=8)
    with pytest.raises(data.DataError, match="Lower shortest"):
        fit_irn(log.keep(np.arange(60)), config, IRNTraining(shortest=50), 0)
    with pytest.raises(ValueError, match="Need shortest >= 3"):
        IRNTraining(shortest=2, objective_in_loss=False)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        IRNConfig(n_items=3, layers=0)
    with pytest.raises(ValueError, match="mask_type must be 1, 2 or 3"):
        IRNConfig(n_items=3, mask_type=4)
    with pytest.raises(ValueError, match="length must be at least 2"):
        IRNConfig(n_items=3, length=1)
    with pytest.raises(ValueError, match="multiple of heads"):
        IRNConfig(n_items=3, width=15)
