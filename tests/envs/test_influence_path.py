"""InfluencePath: hand-solved episodes, identities between terms and metrics, failure modes."""

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents, data
from recgym.data.log import InteractionLog
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.instances import Instances
from recgym.envs.influence_path.rewards import TERMS, log_acceptance
from recgym.envs.influence_path.state import Params
from recgym.evaluators import MarkovEvaluator
from recgym.evaluators.sequence import SequenceEvaluator
from recgym.testing import check_environment, check_vector_equals_single, optimum

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"


def three_items(**params):
    """Items 0, 1, 2; the user has seen 0; from 0 to 2 it is far, by way of 1 it is near."""
    table = np.array([[0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [1, 1, 1]])
    table[3] /= 3
    log = InteractionLog.from_columns("three", np.array([0]), np.array([0]), item_ids=np.arange(3))
    user = MarkovEvaluator(np.log(table), tau=np.log(0.5))
    instances = Instances(log, "train", dict.fromkeys(("train", "validation", "test"), (2,)))
    return InfluencePath(log, user, instances, Params(**{"horizon": 4, "bonus": 5.0, **params}))


def play(problem, actions, seed=0):
    rng = np.random.default_rng(seed)
    state = problem.start([problem.draw_task(rng, {})], [rng])
    steps = []
    for action in actions:
        moved = problem.step(state, np.array([action]), [rng])
        steps.append({k: float(v[0]) for k, v in moved.terms.items()})
        state = moved.state
    return state, steps, bool(moved.terminated[0])


class TestByHand:
    def test_the_way_round(self):
        problem = three_items()
        state, (first, second), ended = play(problem, [1, 2])
        assert ended
        assert first["interest"] == pytest.approx(np.log(0.6 / 0.1))
        assert first["follow"] == pytest.approx(np.log(0.4 / 0.5))
        assert first["accepted_success"] == 0
        assert second["interest"] == 0
        assert second["follow"] == 0  # .6 is more likely than τ = log .5
        assert second["accepted_success"] == 1
        reward = np.log(6) + 5 / 4 * np.log(0.8) + 5
        metrics = {k: float(v[0]) for k, v in problem.metrics(state).items()}
        assert metrics["return"] == pytest.approx(reward)
        assert metrics["SR"] == metrics["SR_acc"] == 1
        assert metrics["SR@1"] == 0
        assert metrics["IoI"] == pytest.approx(np.log(6))
        assert metrics["log_ppl"] == pytest.approx(-(np.log(0.4) + np.log(0.6)) / 2)
        assert metrics["IoR"] == 1  # behind item 1 before; before it, only seen items after

    def test_jump(self):
        state, (only,), ended = play(three_items(), [2])
        assert ended
        assert only["accepted_success"] == pytest.approx(0.1 / 0.5)
        assert only["follow"] == pytest.approx(np.log(0.2))
        assert three_items().metrics(state)["SR@1"][0] == 1

    def test_an_illegal_item_changes_nothing_but_time(self):
        problem = three_items()
        state, (bad,), ended = play(problem, [0])
        assert not ended
        assert bad["invalid"] == 1
        assert bad["interest"] == bad["log_prob"] == 0
        assert bad["follow"] == pytest.approx(np.log(0.1 / 0.5))  # as the least likely legal one
        assert problem.observe(state)["steps_left"][0] == 3
        assert problem.observe(state)["history"][0, -1] == 0
        assert np.isnan(problem.metrics(state)["log_ppl"][0])
        with_objective = three_items(ppl="with_objective")
        state, _, _ = play(with_objective, [0])
        assert with_objective.metrics(state)["log_ppl"][0] == pytest.approx(-np.log(0.1))

    def test_the_horizon_ends_it(self):
        state, steps, ended = play(three_items(horizon=1), [1])
        assert ended
        assert steps[0]["success"] == 0
        assert three_items(horizon=1).metrics(state)["SR"][0] == 0

    def test_weights_are_arguments(self):
        problem = three_items(weights={"interest": 0.0, "log_prob": 2.0})
        state, _, _ = play(problem, [1])
        expected = 2 * np.log(0.4) + 5 / 4 * np.log(0.8)
        assert problem.metrics(state)["return"][0] == pytest.approx(expected)


class TestSampled:
    def test_offering_again_does_not_help(self):
        """One threshold per episode and item: refused once, refused until interest grows."""
        problem = three_items(acceptance="sampled")
        refused = 0
        for seed in range(200):
            state, steps, _ = play(problem, [2, 2, 2], seed)
            outcomes = state.accepted[0, :3].tolist()
            first = outcomes[0]
            assert outcomes == [first, first, first] or first  # a success would have ended it
            refused += not first
            if not first:
                assert state.tokens[0, -1] == 0
                assert not problem.observe(state)["last_accepted"][0]
                assert sum(s["success"] for s in steps) == 0
        assert refused / 200 == pytest.approx(0.8, abs=0.1)  # a = .1 / .5

    def test_interest_that_has_grown_helps(self):
        problem = three_items(acceptance="sampled")
        won = 0
        for seed in range(200):
            state, steps, _ = play(problem, [2, 1, 2], seed)
            if not state.accepted[0, 0] and state.accepted[0, 1]:
                assert steps[2]["accepted_success"] == 1  # a = 1 after item 1
                won += 1
        assert won > 100

    def test_accepted_success_is_what_happened(self):
        problem = three_items(acceptance="sampled")
        totals = [play(problem, [2], seed)[1][0]["accepted_success"] for seed in range(300)]
        assert set(totals) == {0.0, 1.0}
        assert np.mean(totals) == pytest.approx(0.2, abs=0.07)


class TestRepeats:
    def test_what_was_taken_is_an_item_like_any_other(self):
        problem = three_items(repeats="allowed")
        state, (first, second), ended = play(problem, [1, 0])
        assert not ended
        assert first["invalid"] == second["invalid"] == 0
        assert second["interest"] == pytest.approx(np.log(0.1 / 0.6))
        assert second["log_prob"] == pytest.approx(np.log(0.2))
        assert problem.observe(state)["history"][0, -3:].tolist() == [0, 1, 0]
        assert problem.observe(state)["steps_left"][0] == 2
        assert problem.action_masks(state).all()

    def test_ranks_leave_out_what_was_taken(self):
        """As where repeats are forbidden, so that IoR compares."""
        for repeats in ("allowed", "forbidden"):
            problem = three_items(repeats=repeats)
            state, _, _ = play(problem, [1])
            assert problem.metrics(state)["IoR"][0] == 1
        state, _, _ = play(three_items(repeats="allowed"), [0, 0])
        assert problem.metrics(state)["IoR"][0] == 0
        assert state.seen[0].tolist() == [True, False, False]

    def test_repeats_may_be_refused(self):
        problem = three_items(repeats="allowed", acceptance="sampled")
        results = {play(problem, [1, 1], seed)[0].accepted[0, 1] for seed in range(50)}
        assert results == {True, False}

    @pytest.mark.parametrize("kwargs", [{}, {"acceptance": "sampled", "objective": "genre"}])
    def test_contract(self, kwargs):
        check_environment(TINY, modes=["ansi"], steps=60, repeats="allowed", **kwargs)
        check_vector_equals_single(TINY, steps=200, repeats="allowed", **kwargs)

    def test_more_freedom_is_worth_no_less(self):
        values = [optimum(gym.make(TINY, repeats=r)).value for r in ("forbidden", "allowed")]
        assert values[1] >= values[0]

    def test_text_calls_no_repeat_illegal(self):
        env = gym.make(TINY, repeats="allowed", acceptance="sampled", render_mode="ansi")
        env.reset(seed=0, options={"user": 0})
        for _ in range(6):
            env.step(0)
        assert "illegal" not in env.render()


def test_log_acceptance():
    assert log_acceptance(np.array([-1.0, -3.0]), -2.0).tolist() == [0.0, -1.0]


@pytest.mark.parametrize("env_id", [ID, TINY])
def test_metrics_are_sums_of_terms(env_id):
    env = gym.make(env_id)
    rng = np.random.default_rng(0)
    for _ in range(4):
        env.reset(seed=int(rng.integers(1000)))
        log_probs, before, user = [], None, env.unwrapped.problem.evaluator
        totals, rewards, ended = dict.fromkeys(TERMS, 0.0), 0.0, False
        start = env.unwrapped.state
        before = user.log_prob(start.tokens)[0, start.objective[0]]
        while not ended:
            last = env.unwrapped.state
            action = int(rng.choice(np.flatnonzero(env.unwrapped.action_masks())))
            _, reward, ended, _, info = env.step(action)
            log_probs.append(user.log_prob(last.tokens)[0, action])
            rewards += reward
            for name, value in info["reward_terms"].items():
                totals[name] += value
        metrics, end = info["metrics"], env.unwrapped.state
        after = (last if metrics["SR"] else end).tokens
        after = user.log_prob(after)[0, end.objective[0]]
        assert metrics["return"] == pytest.approx(rewards)
        assert metrics["IoI"] == pytest.approx(totals["interest"]) == pytest.approx(after - before)
        assert metrics["SR"] == totals["success"]
        assert metrics["SR_acc"] == pytest.approx(totals["accepted_success"])
        assert metrics["log_ppl"] == pytest.approx(-np.mean(log_probs), abs=1e-5)
        assert metrics["length"] == len(log_probs)


def test_ranks_are_among_unseen_items():
    env = gym.make(ID, split="test")
    env.reset(seed=1, options={"user": 5})
    env.step(int(np.flatnonzero(env.unwrapped.action_masks())[7]))
    problem, state = env.unwrapped.problem, env.unwrapped.state
    unseen = np.flatnonzero(~state.seen[0])
    scores = state.log_prob[0]
    rank = 1 + (scores[unseen] > scores[state.objective[0]]).sum()
    assert problem.metrics(state)["IoR"][0] == state.first_rank[0] - rank


class TestTasks:
    def test_default_world(self):
        log = gym.make(ID).unwrapped.problem.log
        assert (log.n_users, log.n_items, len(log)) == (671, 3496, 90072)

    def test_objectives_of_the_splits_are_disjoint(self):
        log = data.load("ml-latest-small")
        parts = [set(Instances(log, split).objectives) for split in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == log.n_items
        assert len(parts[2]) == pytest.approx(0.2 * log.n_items, abs=1)

    def test_evaluation_tasks(self):
        env = gym.make(ID).unwrapped  # a training environment lists the test split's
        tasks = env.evaluation_tasks(3)
        assert tasks == env.evaluation_tasks(3) != env.evaluation_tasks(4)
        assert [t["user"] for t in tasks] == list(range(671))
        log, test = env.problem.log, set(Instances(env.problem.log, "test").objectives)
        for task in tasks:
            assert task["objective"] in test
            assert task["objective"] not in log.items_of(task["user"])
            assert task["cut"] == len(log.items_of(task["user"]))
        validation = gym.make(ID, split="validation").unwrapped.evaluation_tasks(3)
        assert not {t["objective"] for t in validation} & test

    def test_training_never_meets_a_held_out_objective(self):
        env = gym.make(ID, evaluator="markov").unwrapped
        training = set(env.problem.instances.objectives)
        cuts = set()
        for seed in range(200):
            task = env.reset(seed=seed)[1]["task"]
            history = env.problem.log.items_of(task["user"])
            assert task["objective"] in training
            assert task["objective"] not in history
            cuts.add(task["cut"] == len(history))
        assert cuts == {True, False} or cuts == {False}

    def test_options(self):
        env = gym.make(ID, evaluator="markov")
        obs, info = env.reset(options={"user": 3, "objective": 77, "cut": 2})
        assert info["task"] == {"user": 3, "objective": 77, "cut": 2}
        log = env.unwrapped.problem.log
        assert obs["history"][-2:].tolist() == log.items_of(3)[:2].tolist()
        assert (obs["history"][:-2] == log.n_items).all()
        assert obs["action_mask"].sum() == log.n_items - 2

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"user": 671}, "user must be in 0..670"),
            ({"objective": -1}, "objective must be in 0..3495"),
            ({"user": 3, "cut": 10**6}, "cut must be in"),
            ({"objektive": 3}, "Unknown reset options"),
        ],
    )
    def test_bad_options(self, options, words):
        env = gym.make(ID, evaluator="markov")
        with pytest.raises(ValueError, match=words):
            env.reset(options=options)

    def test_users_are_drawn_whose_history_can_be_cut_there(self):
        env = gym.make(ID, evaluator="markov")
        lengths = np.diff(env.unwrapped.problem.log.offsets)
        cut = int(np.quantile(lengths, 0.9))
        for seed in range(10):
            _, info = env.reset(seed=seed, options={"cut": cut})
            assert lengths[info["task"]["user"]] >= cut == info["task"]["cut"]
        with pytest.raises(ValueError, match=r"cut must be in 0\.\..*the longest history"):
            env.reset(options={"cut": int(lengths.max()) + 1})

    def test_an_objective_in_the_history_is_refused_by_title(self):
        env = gym.make(ID, evaluator="markov")
        seen = int(env.unwrapped.problem.log.items_of(0)[0])
        with pytest.raises(ValueError, match=r"Antz \(1998\).*already in the history of user 0"):
            env.reset(options={"user": 0, "objective": seen})


class TestWorlds:
    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_synthetic_needs_no_licence_and_no_network(self, split):
        env = gym.make(ID, dataset="synthetic", split=split)
        assert env.unwrapped.problem.evaluator.name == "markov"
        env.reset(seed=0)
        env.step(int(np.flatnonzero(env.unwrapped.action_masks())[0]))

    def test_absent_data_say_how_to_get_them(self, monkeypatch, tmp_path):
        monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
        monkeypatch.delenv("RECGYM_SHARED_DATA", raising=False)
        with pytest.raises(data.DataError, match="recgym data fetch ml-20m"):
            gym.make(ID, dataset="ml-20m")

    def test_objects_are_taken_and_not_copied(self):
        log = data.load("ml-latest-small")
        user = recgym_markov(log)
        env = gym.make(ID, dataset=log, evaluator=user)
        assert env.unwrapped.problem.log is log
        assert env.unwrapped.problem.evaluator is user

    def test_another_catalogue_is_refused(self):
        user = recgym_markov(data.load("synthetic"))
        with pytest.raises(ValueError, match="knows 500 items"):
            gym.make(ID, evaluator=user)

    def test_own_file(self, tmp_path):
        log = data.load("synthetic")
        path = tmp_path / "clicks.csv"
        log.to_frame().to_csv(path, index=False)
        env = gym.make(ID, dataset=str(path), evaluator="markov", horizon=3)
        assert env.unwrapped.problem.log.n_users == log.n_users
        env.reset(seed=0)

    @pytest.mark.parametrize(
        ("kwargs", "words"),
        [
            ({"horizon": 0}, "horizon"),
            ({"horizon": 2.5}, "horizon"),
            ({"history_length": 0}, "history_length"),
            ({"acceptance": "maybe"}, "acceptance"),
            ({"ppl": "yes"}, "ppl"),
            ({"repeats": "sometimes"}, "repeats"),
            ({"split": "dev"}, "split"),
            ({"bonus": float("nan")}, "bonus"),
            ({"weights": {"interst": 1.0}}, "interst"),
            ({"weights": {"interest": float("inf")}}, "interest"),
            ({"evaluator": "oracle"}, "oracle"),
            ({"render_mode": "vr"}, "render_mode"),
        ],
    )
    def test_bad_arguments(self, kwargs, words):
        with pytest.raises(Exception, match=words):
            gym.make(TINY if "evaluator" not in kwargs else ID, **kwargs)

    def test_fingerprints_tell_worlds_apart(self):
        base = gym.make(TINY).unwrapped.fingerprint
        assert base == gym.make(TINY).unwrapped.fingerprint
        for kwargs in (
            {"horizon": 5},
            {"split": "test"},
            {"bonus": 4.0},
            {"acceptance": "sampled"},
            {"repeats": "allowed"},
        ):
            assert gym.make(TINY, **kwargs).unwrapped.fingerprint != base


def recgym_markov(log) -> SequenceEvaluator:
    from recgym import evaluators

    return evaluators.load("markov", log)


def mean_return(venv, agent, tasks):
    from recgym.benchmark.evaluation import evaluate

    return evaluate(agent, venv, tasks, 0)["return"].mean()


def test_ordering_of_the_floors_on_the_default_world():
    """random < popularity < jump < Rec2Inf by embedding, and always-illegal below them all."""
    venv = gym.make_vec(ID, num_envs=64, split="test", autoreset_mode="Disabled")
    tasks = venv.unwrapped.evaluation_tasks(0)[:128]

    class Illegal(agents.Agent):
        name = "illegal"

        def act(self, observation, *, deterministic):
            return observation["action_mask"].argmin(axis=1)

    order = [
        Illegal(venv),
        agents.make("random", venv),
        agents.make("popularity", venv),
        agents.make("jump", venv),
        agents.make("rec2inf", venv, backbone="cooccurrence", distance="embedding"),
    ]
    returns = [mean_return(venv, agent, tasks) for agent in order]
    assert returns == sorted(returns), returns
    assert returns[-1] > returns[-2] + 3
