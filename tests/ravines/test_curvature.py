"""Curvature against the dense Hessian of a network written out by hand, and against matrices with known spectra."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import nn

from ravines.curvature import (
    HessianOperator,
    condition_number,
    dense_hessian,
    extreme_eigenvalues,
    flat_parameters,
    hessian_vector_product,
    spectral_density,
)

torch.set_num_threads(1)

INPUTS, HIDDEN, OUTPUTS, EXAMPLES = 4, 6, 3, 12
ACTIVATIONS = {"tanh": (nn.Tanh, torch.tanh), "relu": (nn.ReLU, lambda z: z.clamp(min=0))}


def softmax_cross_entropy(outputs, labels):
    log_probabilities = outputs - outputs.exp().sum(1, keepdim=True).log()
    return -log_probabilities[torch.arange(len(labels)), labels].mean()


def squared_error(outputs, targets):
    return ((outputs - targets) ** 2).sum() / targets.numel()


def problem(activation="tanh", loss="cross_entropy", seed=0):
    """A network, its loss and data, and the same loss written out by hand as a function of the flat parameters."""
    torch.manual_seed(seed)
    layer, function = ACTIVATIONS[activation]
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), layer(), nn.Linear(HIDDEN, OUTPUTS)).double()
    x = torch.randn(EXAMPLES, INPUTS, dtype=torch.float64)
    if loss == "cross_entropy":
        y, loss_fn, by_hand = torch.randint(OUTPUTS, (EXAMPLES,)), nn.CrossEntropyLoss(), softmax_cross_entropy
    else:
        y, loss_fn, by_hand = torch.randn(EXAMPLES, OUTPUTS, dtype=torch.float64), nn.MSELoss(), squared_error

    def flat_loss(w):
        a, b = INPUTS * HIDDEN, INPUTS * HIDDEN + HIDDEN
        c = b + HIDDEN * OUTPUTS
        hidden = function(x @ w[:a].view(HIDDEN, INPUTS).T + w[a:b])
        return by_hand(hidden @ w[b:c].view(OUTPUTS, HIDDEN).T + w[c:], y)

    w = torch.cat([model[0].weight.flatten(), model[0].bias, model[2].weight.flatten(), model[2].bias]).detach()
    return model, loss_fn, x, y, flat_loss, w


@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_network_s_hessian_is_the_dense_one(activation, loss, chunk):
    model, loss_fn, x, y, flat_loss, w = problem(activation, loss)
    expected = torch.autograd.functional.hessian(flat_loss, w)
    operator = HessianOperator(model, loss_fn, x, y, chunk=chunk)
    assert operator.dim == len(w) == 51
    assert torch.equal(operator.point, w)
    assert torch.equal(flat_parameters(model), w)
    for seed in range(3):
        v = torch.randn(operator.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(operator.matvec(v), expected @ v, rtol=0, atol=1e-12)
        assert np.allclose(operator.linear_operator() @ v.numpy(), (expected @ v).numpy(), rtol=0, atol=1e-12)
    torch.testing.assert_close(dense_hessian(operator, batch=20), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.loss(), flat_loss(w), rtol=0, atol=1e-12)
    gradient = torch.autograd.functional.jacobian(flat_loss, w)
    torch.testing.assert_close(operator.gradient(), gradient, rtol=0, atol=1e-12)

    eigenvalues, _ = torch.linalg.eigh(expected)
    found = extreme_eigenvalues(operator, 3, 2)  # 51 dimensions: Lanczos, not the dense shortcut
    assert np.abs(found.top - eigenvalues.numpy()[::-1][:3]).max() < 1e-8
    assert np.abs(found.bottom - eigenvalues.numpy()[:2]).max() < 1e-8
    for vectors, values in ((found.top_vectors, found.top), (found.bottom_vectors, found.bottom)):
        residual = expected.numpy() @ vectors - vectors * values
        assert np.abs(residual).max() < 2e-6 * np.abs(eigenvalues.numpy()).max()
        assert np.allclose(vectors.T @ vectors, np.eye(len(values)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_an_operator_at_another_point_gives_that_loss_and_gradient(loss):
    model, loss_fn, x, y, flat_loss, w = problem(loss=loss)
    other = w + 0.3 * torch.randn_like(w)
    operator = HessianOperator(model, loss_fn, x, y, chunk=7)
    torch.testing.assert_close(operator.loss(other), flat_loss(other), rtol=0, atol=1e-12)
    expected = torch.autograd.functional.jacobian(flat_loss, other)
    torch.testing.assert_close(operator.gradient(other), expected, rtol=0, atol=1e-12)
    assert not operator.loss(other).requires_grad
    assert not operator.gradient(other).requires_grad


def test_the_kept_graph_and_both_routes_agree():
    model, loss_fn, x, y, flat_loss, w = problem()
    v = torch.randn_like(w)
    expected = torch.autograd.functional.hessian(flat_loss, w) @ v
    operator = HessianOperator(model, loss_fn, x, y)
    first, second = operator.matvec(v), operator.matvec(2 * v)
    operator._keeps_graph = False
    for product in (first, second / 2, operator.matvec(v), hessian_vector_product(flat_loss, w, v)):
        torch.testing.assert_close(product, expected, rtol=0, atol=1e-12)
        assert not product.requires_grad


def test_a_sum_of_losses_is_summed_over_chunks():
    model, _, x, y, flat_loss, w = problem()
    operator = HessianOperator(model, nn.CrossEntropyLoss(reduction="sum"), x, y, chunk=5, reduction="sum")
    expected = EXAMPLES * torch.autograd.functional.hessian(flat_loss, w)
    torch.testing.assert_close(dense_hessian(operator), expected, rtol=0, atol=1e-11)


def test_frozen_parameters_are_left_out():
    model, loss_fn, x, y, flat_loss, w = problem()
    model[0].weight.requires_grad_(False)
    kept = torch.arange(INPUTS * HIDDEN, len(w))
    expected = torch.autograd.functional.hessian(flat_loss, w)[kept][:, kept]
    operator = HessianOperator(model, loss_fn, x, y)
    torch.testing.assert_close(dense_hessian(operator), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.point, w[kept], rtol=0, atol=0)


def test_a_shared_parameter_counts_once():
    torch.manual_seed(0)
    layer = nn.Linear(3, 3, bias=False).double()
    model = nn.Sequential(layer, nn.Tanh(), layer)
    x, y = torch.randn(5, 3).double(), torch.randn(5, 3).double()

    def flat_loss(w):
        return squared_error(torch.tanh(x @ w.view(3, 3).T) @ w.view(3, 3).T, y)

    expected = torch.autograd.functional.hessian(flat_loss, layer.weight.detach().flatten())
    operator = HessianOperator(model, nn.MSELoss(), x, y)
    torch.testing.assert_close(dense_hessian(operator), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batch_normalization_follows_the_mode_and_its_buffers_stay(mode):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    x, y = torch.randn(8, 3).double(), torch.randn(8, 1).double()
    model(x)  # running statistics unlike their initial values
    model.train(mode == "train")
    norm = model[1]
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()

    def flat_loss(w):
        hidden = x @ w[:12].view(4, 3).T + w[12:16]
        mu = hidden.mean(0) if mode == "train" else mean
        var = ((hidden - mu) ** 2).mean(0) if mode == "train" else variance
        hidden = (hidden - mu) / (var + 1e-5).sqrt() * w[16:20] + w[20:24]
        return squared_error(hidden @ w[24:28].view(1, 4).T + w[28:], y)

    operator = HessianOperator(model, squared_error, x, y)
    model.train(mode != "train")  # the operator remembers how the model was
    expected = torch.autograd.functional.hessian(flat_loss, flat_parameters(model))
    torch.testing.assert_close(dense_hessian(operator), expected, rtol=0, atol=1e-11)
    for route in (True, False):
        operator._keeps_graph = route
        torch.testing.assert_close(operator.matvec(expected[0]), expected @ expected[0], rtol=0, atol=1e-11)
    assert operator._forward_mode  # updating a buffer in place would have ruled it out
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.running_var, variance)
    assert norm.num_batches_tracked == 1
    assert model.training == (mode != "train")


def test_dropout_in_train_mode_is_one_fixed_mask_and_the_caller_s_randomness_stays():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Dropout(0.5), nn.Linear(20, 3)).double()
    x, y = torch.randn(10, 4).double(), torch.randint(3, (10,))
    before = torch.get_rng_state()
    operator = HessianOperator(model, nn.CrossEntropyLoss(), x, y, chunk=4)
    v = torch.randn(operator.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    product = operator.matvec(v)
    assert torch.equal(product, operator.matvec(v))
    assert torch.equal(before, torch.get_rng_state())
    without = HessianOperator(model.eval(), nn.CrossEntropyLoss(), x, y, chunk=4).matvec(v)
    assert (product - without).abs().max() > 1e-4
    hessian = dense_hessian(operator)
    torch.testing.assert_close(hessian, hessian.T, rtol=0, atol=1e-12)


def test_training_on_does_not_move_the_operator():
    model, loss_fn, x, y, flat_loss, w = problem()
    operator = HessianOperator(model, loss_fn, x, y)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    expected = torch.autograd.functional.hessian(flat_loss, w)
    torch.testing.assert_close(operator.matvec(w), expected @ w, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_other_dtypes_compute_in_their_own_precision(dtype, accuracy):
    model, loss_fn, x, y, flat_loss, w = problem()
    operator = HessianOperator(model.to(dtype), loss_fn, x, y)  # float64 inputs are converted
    v = torch.randn_like(w)
    product = operator.matvec(v)
    assert product.dtype == operator.dtype == dtype
    expected = torch.autograd.functional.hessian(flat_loss, w) @ v
    assert (product.double() - expected).norm() < accuracy * expected.norm()


def test_float32_eigenvalues_are_as_good_as_float32_allows():
    model, loss_fn, x, y, flat_loss, w = problem()
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(flat_loss, w)).numpy()
    found = extreme_eigenvalues(HessianOperator(model.float(), loss_fn, x, y), 2, 2)
    assert np.abs(found.top - eigenvalues[::-1][:2]).max() < 1e-5 * eigenvalues[-1]
    assert np.abs(found.bottom - eigenvalues[:2]).max() < 1e-5 * eigenvalues[-1]


def rotated(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues, in a random basis."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    q, _ = torch.linalg.qr(
        torch.randn(len(values), len(values), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    )
    return q @ torch.diag(values) @ q.T


def quadratic(matrix):
    w = torch.ones(len(matrix), dtype=torch.float64)
    return HessianOperator.from_function(lambda w: 0.5 * w @ matrix @ w, w)


@pytest.mark.parametrize(
    "eigenvalues",
    [
        np.linspace(1, 100, 60),
        np.linspace(-100, -1, 60),
        np.concatenate([[-3.0], np.zeros(50), [1.0, 7.0]]),
        np.concatenate([np.zeros(57), np.linspace(5, 7, 3)]),
        np.full(40, 2.5),
        np.zeros(40),
        [-1.0, 2.0],
        [4.0],
    ],
    ids=["positive", "negative", "indefinite", "singular", "multiple", "zero", "two", "one"],
)
def test_both_ends_of_known_spectra(eigenvalues):
    found = extreme_eigenvalues(quadratic(rotated(eigenvalues)))
    assert found.top.shape == found.bottom.shape == (1,)
    assert abs(found.top[0] - max(eigenvalues)) < 1e-8 * max(1, np.abs(eigenvalues).max())
    assert abs(found.bottom[0] - min(eigenvalues)) < 1e-8 * max(1, np.abs(eigenvalues).max())


def test_eigenvalues_do_not_depend_on_the_run_and_little_on_the_seed():
    operator = quadratic(rotated(np.linspace(-5, 50, 80)))
    first, again, other = (extreme_eigenvalues(operator, 2, 2, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.top_vectors, other.top_vectors)
    assert np.abs(first.top - other.top).max() < 1e-8


def test_all_none_or_too_many_eigenvalues():
    operator = quadratic(rotated(np.arange(1.0, 41.0)))
    everything = extreme_eigenvalues(operator, 40, 0)
    assert np.allclose(everything.top, np.arange(40.0, 0.0, -1.0), rtol=0, atol=1e-10)
    assert everything.bottom.shape == (0,)
    assert extreme_eigenvalues(operator, 0, 1).top_vectors.shape == (40, 0)
    with pytest.raises(ValueError, match="from 0 to 40"):
        extreme_eigenvalues(operator, 41)


def test_no_convergence_says_what_to_change():
    operator = quadratic(rotated([*np.linspace(0, 1e-6, 300), 1.0]))
    with pytest.raises(RuntimeError, match="raise tol or max_restarts"):
        extreme_eigenvalues(operator, 0, 1, tol=1e-14, max_restarts=1)


def test_lanczos_quadrature_is_exact_when_it_exhausts_a_diagonal_matrix():
    # A vector of signs weighs each eigenvector of a diagonal matrix equally, so nothing is left to chance.
    eigenvalues = np.array([-2.0, -0.5, 0.0, 0.25, 1.0, 3.0, 10.0])
    found = spectral_density(quadratic(torch.diag(torch.tensor(eigenvalues))), steps=50, probes=2)
    assert found.nodes.shape == found.weights.shape == (2, 7)
    assert np.allclose(found.nodes, eigenvalues, rtol=0, atol=1e-10)
    assert np.allclose(found.weights, 1 / 7, rtol=0, atol=1e-10)
    assert found.fraction(high=-0.1) == pytest.approx(2 / 7)
    assert found.fraction(-0.1, 0.3) == pytest.approx(2 / 7)
    assert found.fraction() == pytest.approx(1)


def test_lanczos_quadrature_has_the_moments_of_its_probe():
    # m steps integrate polynomials up to degree 2 m - 1 exactly (Golub & Meurant 2010, theorem 6.1).
    matrix = rotated(np.linspace(-1, 2, 60))
    found = spectral_density(quadratic(matrix), steps=4, probes=1, seed=3)
    probe = torch.from_numpy(np.random.default_rng(3).choice([-1.0, 1.0], 60)) / math.sqrt(60)
    for degree in range(8):
        moment = probe @ torch.linalg.matrix_power(matrix, degree) @ probe
        assert (found.weights * found.nodes**degree).sum() == pytest.approx(float(moment), abs=1e-10)
    eighth = float(probe @ torch.linalg.matrix_power(matrix, 8) @ probe)
    assert abs((found.weights * found.nodes**8).sum() - eighth) > 1e-6


def test_the_density_integrates_to_one_and_is_seeded():
    operator = quadratic(rotated(np.concatenate([np.zeros(90), np.linspace(5, 6, 10)])))
    found = spectral_density(operator, steps=20, probes=6)
    grid, density = found.density()
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-6)
    assert trapezoid(density[grid > 3], grid[grid > 3]) == pytest.approx(0.1, abs=0.05)
    assert found.fraction(4, 7) == pytest.approx(0.1, abs=0.05)
    custom_grid, custom = found.density(np.linspace(-9, 15, 4001), width=0.5)
    assert len(custom_grid) == 4001
    assert trapezoid(custom, custom_grid) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(found.nodes, spectral_density(operator, steps=20, probes=6).nodes)
    assert not np.array_equal(found.nodes, spectral_density(operator, steps=20, probes=6, seed=1).nodes)


def test_a_spectrum_of_one_point_has_a_density_too():
    found = spectral_density(quadratic(2.0 * torch.eye(40, dtype=torch.float64)), steps=10, probes=2)
    assert np.allclose(found.nodes, 2, rtol=0, atol=1e-10)
    assert np.allclose(found.weights.sum(1), 1)
    grid, density = found.density()
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("eigenvalues", "expected"),
    [
        ([1.0, 4.0, 100.0], 100.0),
        ([-100.0, 1.0, 4.0], 100.0),
        ([-2.0, 8.0, 0.5], 16.0),
        ([-3.0, -6.0], 2.0),
        ([0.0, 1.0], math.inf),
        ([0.0], math.inf),
        ([5.0], 1.0),
        ([1e-17, 1.0], math.inf),
        ([1, 10], 10.0),
    ],
)
def test_condition_numbers(eigenvalues, expected):
    assert condition_number(eigenvalues) == expected
    assert condition_number(np.array(eigenvalues)) == expected
    assert condition_number(torch.tensor(eigenvalues, dtype=torch.float64)) == expected
    assert condition_number(quadratic(rotated(eigenvalues))) == pytest.approx(expected)


def test_the_condition_number_of_a_large_operator():
    definite = quadratic(rotated(np.linspace(2, 500, 60)))
    assert condition_number(definite, dense_limit=10) == pytest.approx(250, rel=1e-7)
    assert condition_number(definite) == pytest.approx(250, rel=1e-7)
    negative = quadratic(rotated(-np.linspace(2, 500, 60)))
    assert condition_number(negative, dense_limit=10) == pytest.approx(250, rel=1e-7)
    indefinite = quadratic(rotated(np.linspace(-2, 500, 60)))
    with pytest.raises(ValueError, match="indefinite"):
        condition_number(indefinite, dense_limit=10)
    eigenvalues = np.linspace(-2, 500, 60)
    assert condition_number(indefinite) == pytest.approx(500 / np.abs(eigenvalues).min())
    assert condition_number([1e-3, 1.0], rtol=1e-2) == math.inf


class NoForwardMode(torch.autograd.Function):
    """x**3 without a formula for forward mode and without support for torch.func."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


def test_an_operation_without_forward_mode_falls_back_to_reverse_mode_twice():
    w, v = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0])

    def f(w):
        return NoForwardMode.apply(w).sum()

    expected = 6 * w * v
    torch.testing.assert_close(hessian_vector_product(f, w, v), expected)
    operator = HessianOperator.from_function(f, w)
    torch.testing.assert_close(operator.matvec(v), expected)
    torch.testing.assert_close(dense_hessian(operator), torch.diag(6 * w))
    operator._keeps_graph = False
    for _ in range(2):
        torch.testing.assert_close(operator.matvec(v), expected)


class NoDoubleReverse(torch.autograd.Function):
    """x**3 whose gradient cannot be differentiated by reverse mode, but has forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return OnlyForward.apply(x) * g

    @staticmethod
    def jvp(ctx, t):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * t


class OnlyForward(torch.autograd.Function):
    """3 x**2 with forward mode only."""

    @staticmethod
    def forward(x):
        return 3 * x**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        raise NotImplementedError("no reverse mode")

    @staticmethod
    def jvp(ctx, t):
        (x,) = ctx.saved_tensors
        return 6 * x * t


def test_an_operation_without_second_reverse_mode_uses_forward_mode():
    w, v = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0])
    operator = HessianOperator.from_function(lambda w: NoDoubleReverse.apply(w).sum(), w)
    for _ in range(2):
        torch.testing.assert_close(operator.matvec(v), 6 * w * v)


@pytest.mark.parametrize("f", [lambda w: 3 * w.sum(), lambda w: w.detach().sum() + 0 * w.sum()], ids=["linear", "flat"])
def test_a_linear_function_has_no_curvature(f):
    w = torch.ones(4)
    assert torch.equal(hessian_vector_product(f, w, w), torch.zeros(4))
    assert torch.equal(HessianOperator.from_function(f, w).matvec(w), torch.zeros(4))


def test_a_point_of_any_shape_under_no_grad():
    w = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with torch.no_grad():
        product = hessian_vector_product(lambda w: (w**3).sum(), w, torch.ones(2, 2))
        operator = HessianOperator.from_function(lambda w: (w**3).sum(), w.flatten())
        assert torch.equal(operator.matvec(torch.ones(4)), 6 * w.flatten())
        assert torch.equal(operator.gradient(), 3 * w.flatten() ** 2)
    assert torch.equal(product, 6 * w)


def bad_inputs():
    model, loss_fn, x, y, _, w = problem()
    mixed = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3).double())
    frozen = nn.Linear(4, 3).requires_grad_(False)
    norm = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    large = HessianOperator.from_function(lambda w: (w**2).sum(), torch.ones(20_001))
    broken = HessianOperator.from_function(lambda w: (w**2).sum() * math.nan, torch.ones(50))
    return {
        "lengths": (lambda: HessianOperator(model, loss_fn, x, y[1:]), "as many inputs as targets"),
        "empty": (lambda: HessianOperator(model, loss_fn, x[:0], y[:0]), "at least one"),
        "chunk": (lambda: HessianOperator(model, loss_fn, x, y, chunk=0), "at least 1, not 0"),
        "reduction": (lambda: HessianOperator(model, loss_fn, x, y, reduction="none"), '"mean" or "sum"'),
        "batch norm": (lambda: HessianOperator(norm, loss_fn, x, y, chunk=4), "model.eval"),
        "mixed": (lambda: HessianOperator(mixed, loss_fn, x, y), "one dtype and device"),
        "frozen": (lambda: HessianOperator(frozen, loss_fn, x, y), "nothing to differentiate"),
        "per example": (
            lambda: HessianOperator(model, nn.CrossEntropyLoss(reduction="none"), x, y).matvec(w),
            "one number",
        ),
        "matvec": (lambda: HessianOperator(model, loss_fn, x, y).matvec(w[1:]), r"shape \(51,\)"),
        "hvp": (lambda: hessian_vector_product(torch.sum, torch.ones(3), torch.ones(2)), "shape of w"),
        "matrix point": (lambda: HessianOperator.from_function(torch.sum, torch.ones(2, 2)), "non-empty"),
        "integer point": (lambda: HessianOperator.from_function(torch.sum, torch.arange(3)), "floating-point"),
        "too large": (lambda: dense_hessian(large), "20,001 x 20,001"),
        "not finite": (lambda: extreme_eigenvalues(broken), "not finite"),
        "not finite density": (lambda: spectral_density(broken), "not finite"),
        "steps": (lambda: spectral_density(large, steps=0), "at least 1"),
        "no eigenvalues": (lambda: condition_number([]), "non-empty vector"),
        "matrix": (lambda: condition_number(torch.eye(3)), "eigvalsh"),
    }


@pytest.mark.parametrize("case", bad_inputs())
def test_bad_input_ends_in_one_clear_sentence(case):
    call, message = bad_inputs()[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_an_honest_error_in_the_loss_is_not_hidden():
    with pytest.raises(RuntimeError, match="must match the size"):
        HessianOperator.from_function(lambda w: (w + torch.ones(7)).sum(), torch.ones(5)).matvec(torch.ones(5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("chunk", [None, 5])
def test_the_gpu_agrees_with_the_dense_hessian(chunk):
    model, loss_fn, x, y, flat_loss, w = problem()
    expected = torch.autograd.functional.hessian(flat_loss, w)
    operator = HessianOperator(model.cuda(), loss_fn, x, y, chunk=chunk)
    assert operator.matvec(w).device.type == "cuda"
    torch.testing.assert_close(dense_hessian(operator).cpu(), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(operator.matvec(w).cpu(), expected @ w, rtol=0, atol=1e-11)
    eigenvalues = torch.linalg.eigvalsh(expected).numpy()
    found = extreme_eigenvalues(operator)
    assert abs(found.top[0] - eigenvalues[-1]) < 1e-8
    assert abs(found.bottom[0] - eigenvalues[0]) < 1e-8
    assert spectral_density(operator, steps=5, probes=1).weights.sum() == pytest.approx(1)
