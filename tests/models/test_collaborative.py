"""Collaborative models: shapes, two derivatives, graphs against dense references, the store."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, jvp, vjp, vmap

from recgym.models import collaborative_class, collaborative_names, store
from recgym.models.graph import Graph, incidence, nearest_rows, row_means, symmetric_normalised

U, N = 6, 7
USERS = torch.tensor([0, 0, 1, 2, 2, 3, 4, 4])  # user 5 and item 6 have no edge
ITEMS = torch.tensor([0, 1, 1, 2, 3, 0, 4, 5])
B_USERS, B_ITEMS = torch.tensor([0, 5, 2, 2]), torch.tensor([1, 6, 2, 0])
SETTINGS = {"neumf": {"hidden": (5, 3)}, "mgcf": {"neighbours": 2}}
every_model = pytest.mark.parametrize("name", collaborative_names())


def build(name, *, graph=True, seed=0, width=4, **config):
    kind = collaborative_class(name)
    model = kind(kind.Config(U, N, width=width, **SETTINGS.get(name, {}), **config))
    model.initialise(torch.Generator().manual_seed(seed))
    return (model.with_graph(USERS, ITEMS) if graph else model).eval()


@every_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_three_ways_to_score_agree(name, dtype):
    model = build(name).to(dtype)
    users = torch.arange(U)
    scores = model.all_scores(users)
    assert scores.shape == (U, N)
    assert scores.dtype == dtype
    rows, columns = torch.meshgrid(users, torch.arange(N), indexing="ij")
    found = model(rows.flatten(), columns.flatten())
    torch.testing.assert_close(found.view(U, N), scores)
    torch.testing.assert_close(model.scorer()(users[1:3]), scores[1:3])
    user, item = model.embeddings(B_USERS, torch.arange(N))
    assert user.shape == (4, 4)
    assert item.shape == (N, 4)
    assert user.dtype == dtype


def inputs(model):
    names, values = zip(*model.named_parameters(), strict=True)
    values = tuple(value.detach().clone().requires_grad_() for value in values)

    def score(*values):
        return functional_call(model, dict(zip(names, values, strict=True)), (B_USERS, B_ITEMS))

    return score, values


@every_model
def test_first_and_second_derivatives(name):
    """Through functional_call, in float64, against finite differences."""
    model = build(name, width=2).double()
    score, values = inputs(model)
    assert torch.autograd.gradcheck(score, values)
    assert torch.autograd.gradgradcheck(lambda *v: score(*v).square(), values)


@every_model
@pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")
def test_hessian_vector_products_in_both_modes_and_in_batches(name):
    model = build(name, **({"biases": True} if name == "mf" else {})).double()
    parameters = {key: value.detach() for key, value in model.named_parameters()}

    def loss(p):
        return F.softplus(-functional_call(model, p, (B_USERS, B_ITEMS))).sum()

    def reverse(v):
        return vjp(grad(loss), parameters)[1](v)[0]

    def forward(v):
        return jvp(grad(loss), (parameters,), (v,))[1]

    torch.manual_seed(0)
    vectors = {key: torch.randn(3, *value.shape).double() for key, value in parameters.items()}
    expected = [reverse({key: v[row] for key, v in vectors.items()}) for row in range(3)]
    for product in (reverse, forward):
        found = vmap(product)(vectors)
        for key, value in found.items():
            torch.testing.assert_close(value, torch.stack([e[key] for e in expected]))


@every_model
def test_the_start_is_reproducible_and_the_same_in_both_precisions(name):
    first, again, other = build(name), build(name), build(name, seed=1)
    double = build(name).double().initialise(torch.Generator().manual_seed(0))
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
        assert torch.equal(value, double.state_dict()[key].float())
    users = torch.arange(U)
    assert not torch.allclose(first.all_scores(users), other.all_scores(users))


@pytest.mark.parametrize(("init", "std"), [("normal", 1 / 8), ("xavier", (2 / 1064) ** 0.5)])
def test_scale_of_the_start(init, std):
    kind = collaborative_class("mf")
    weight = kind(kind.Config(1000, 10, init=init)).user.weight
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert abs(weight.mean().item()) < 0.02 * std + 0.001


@pytest.mark.parametrize("name", ["lightgcn", "mgcf"])
def test_fewer_edges_change_the_scores_and_leave_nothing_behind(name):
    model, users = build(name), torch.arange(U)
    whole = model.all_scores(users)
    fewer = model.with_graph(USERS[:5], ITEMS[:5]).all_scores(users)
    assert not torch.allclose(fewer, whole)
    fresh = build(name, graph=False).with_graph(USERS[:5], ITEMS[:5])
    assert torch.equal(fresh.all_scores(users), fewer)
    none = model.with_graph(USERS[:0], ITEMS[:0]).all_scores(users)
    assert torch.isfinite(none).all()
    assert torch.equal(model.with_graph(USERS, ITEMS).all_scores(users), whole)


@pytest.mark.parametrize("name", ["mf", "neumf"])
def test_models_without_a_graph_ignore_it(name):
    model, users = build(name, graph=False), torch.arange(U)
    before = model.all_scores(users)
    assert model.with_graph(USERS, ITEMS) is model
    assert torch.equal(model.all_scores(users), before)


@pytest.mark.parametrize("name", ["lightgcn", "mgcf"])
def test_a_repeated_edge_counts_once(name):
    model, users = build(name), torch.arange(U)
    once = model.all_scores(users)
    twice = model.with_graph(USERS.repeat(2), ITEMS.repeat(2)).all_scores(users)
    assert torch.equal(once, twice)


def dense_incidence():
    r = torch.zeros(U, N, dtype=torch.float64)
    r[USERS, ITEMS] = 1
    return r


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_lightgcn_against_a_dense_reference(layers):
    model = build("lightgcn", layers=layers).double()
    r = dense_incidence()
    a = torch.zeros(U + N, U + N, dtype=torch.float64)
    a[:U, U:], a[U:, :U] = r, r.T
    degree = a.sum(dim=1)
    a = a / torch.sqrt(torch.outer(degree, degree)).clamp(min=1)
    e = torch.cat([model.user.weight, model.item.weight])
    powers = [torch.linalg.matrix_power(a, k) @ e for k in range(layers + 1)]
    expected = torch.stack(powers).mean(dim=0)
    expected[degree == 0] = e[degree == 0]  # an isolated node keeps its own
    user, item = model.vectors()
    torch.testing.assert_close(user, expected[:U])
    torch.testing.assert_close(item, expected[U:])
    assert torch.equal(user[5], model.user.weight[5])


def test_mgcf_against_a_dense_reference():
    model = build("mgcf", layers=1).double()
    r = dense_incidence()
    side = model.user

    def tanh(layer, x):
        return torch.tanh(x @ layer.weight.T)

    item, user = model.item.embedding.weight, side.embedding.weight
    mean = (r @ item) / r.sum(dim=1, keepdim=True).clamp(min=1)
    bipartite = tanh(side.combine[0], torch.cat([user, tanh(side.gather[0], mean)], dim=1))
    # cosines > 0: users 0 and 1 share item 1, users 0 and 3 share item 0
    alike = torch.zeros(U, U, dtype=torch.float64)
    for a, b in ((0, 1), (0, 3)):
        alike[a, b] = alike[b, a] = 1
    expected = bipartite + tanh(side.alike, alike @ user) + tanh(side.skip, user)
    torch.testing.assert_close(model.vectors()[0], expected)


def test_mf_by_hand():
    model = build("mf", biases=True)
    with torch.no_grad():
        model.user_bias[2], model.item_bias[3] = 0.5, 0.25
    expected = model.user.weight[2] @ model.item.weight[3] + 0.75
    one = torch.tensor([2])
    torch.testing.assert_close(model(one, torch.tensor([3]))[0], expected)
    torch.testing.assert_close(model.scorer()(one)[0, 3], expected)
    model.initialise()
    assert not model.user_bias.any()


def test_neumf_in_small_pieces_equals_the_whole(monkeypatch):
    model, users = build("neumf"), torch.arange(U)
    whole = model.all_scores(users)
    monkeypatch.setattr("recgym.models.neumf.ELEMENTS", 70)
    torch.testing.assert_close(model.all_scores(users), whole)


@every_model
def test_the_scorer_convolves_once_and_needs_no_gradient(name, monkeypatch):
    model = build(name, **({"biases": True} if name == "mf" else {}))
    calls = []
    product = Graph.product
    monkeypatch.setattr(Graph, "product", lambda self, x: calls.append(1) or product(self, x))
    score = model.scorer()
    before = len(calls)
    assert (before > 0) == (name in ("lightgcn", "mgcf"))
    assert not any(score(torch.tensor([u])).requires_grad for u in range(U))
    assert len(calls) == before


@every_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_store_round_trip(name, dtype, tmp_path):
    model = build(name).to(dtype)
    store.save_model(tmp_path, model, {"data_fingerprint": "x"})
    loaded, card = store.load_collaborative(tmp_path)
    assert card["data_fingerprint"] == "x"
    assert loaded.config == model.config
    loaded.with_graph(USERS, ITEMS)
    users = torch.arange(U)
    assert torch.equal(loaded.all_scores(users), model.all_scores(users))
    weights = tmp_path / store.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-8] + b"12345678")
    with pytest.raises(store.StoreError, match="is not the file that"):
        store.load_collaborative(tmp_path)


@every_model
def test_training_ranks_positives_above_others(name):
    """BPR on eight pairs: every one above every item that its user has not had."""
    model = build(name, width=16).train()
    had = dense_incidence().bool()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        scores = model.all_scores(torch.arange(U))
        apart = scores[:, :, None] - scores[:, None, :]
        loss = F.softplus(-apart)[had[:, :, None] & ~had[:, None, :]].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2  # log 2 at the start


def test_nearest_rows_against_brute_force():
    rng = np.random.default_rng(0)
    dense = (rng.random((50, 20)) < 0.2).astype(float)
    dense[7] = 0
    u, i = np.nonzero(dense)
    found = nearest_rows(incidence(torch.as_tensor(u), torch.as_tensor(i), 50, 20), 4).toarray()
    norms = np.linalg.norm(dense, axis=1)
    cosine = np.round(dense @ dense.T / np.maximum(np.outer(norms, norms), 1e-9), 9)
    np.fill_diagonal(cosine, 0)
    for row in range(50):
        order = np.lexsort((np.arange(50), -cosine[row]))[:4]
        expected = [j for j in order if cosine[row, j] > 0]
        assert np.flatnonzero(found[row]).tolist() == sorted(expected)
    assert not found[7].any()


def test_nearest_rows_in_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    u, i = (torch.as_tensor(rng.integers(0, 40, 200)) for _ in range(2))
    edges = incidence(u, i, 40, 40)
    whole = nearest_rows(edges, 3)
    monkeypatch.setattr("recgym.models.graph.BLOCK", 7)
    assert (nearest_rows(edges, 3) != whole).nnz == 0


def test_matrices_by_hand():
    edges = incidence(torch.tensor([0, 0]), torch.tensor([0, 1]), 2, 2)
    assert row_means(edges).toarray().tolist() == [[0.5, 0.5], [0, 0]]
    a = 1 / np.sqrt(2)
    expected = [[0, 0, a, a], [0, 1, 0, 0], [a, 0, 0, 0], [a, 0, 0, 0]]
    np.testing.assert_allclose(symmetric_normalised(edges).toarray(), expected)
    graph = Graph(edges)
    assert graph.shape == (2, 2)
    assert graph.n_edges == 2
    assert graph.T.T is graph
    assert graph.T.to_dense().tolist() == [[1, 0], [1, 0]]


def test_what_cannot_be_built_is_refused():
    for name in ("lightgcn", "mgcf"):
        with pytest.raises(ValueError, match=rf"{name} has no graph yet\. Call with_graph"):
            build(name, graph=False).all_scores(torch.tensor([0]))
    model = build("lightgcn")
    with pytest.raises(ValueError, match=r"user outside of 0\.\.5"):
        model.with_graph(torch.tensor([6]), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"item outside of 0\.\.6"):
        model.with_graph(torch.tensor([0]), torch.tensor([-1]))
    with pytest.raises(ValueError, match="equally long"):
        model.with_graph(torch.tensor([0, 1]), torch.tensor([0]))
    with pytest.raises(ValueError, match="Known: lightgcn, mf, mgcf, neumf"):
        collaborative_class("bpr")
    with pytest.raises(ValueError, match=r"does not know \['depth'\]"):
        collaborative_class("mf").Config.from_dict({"n_users": 1, "n_items": 1, "depth": 3})
    for name, wrong, message in (
        ("mf", {"width": 0}, "width must be at least 1"),
        ("mf", {"init": "zeros"}, "init must be one of"),
        ("neumf", {"hidden": ()}, "hidden must be sizes"),
        ("neumf", {"dropout": 1.0}, "dropout must be in"),
        ("lightgcn", {"layers": 0}, "layers must be at least 1"),
        ("mgcf", {"neighbours": 0}, "neighbours must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            collaborative_class(name).Config(n_users=2, n_items=2, **wrong)
