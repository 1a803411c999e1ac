"""The curvature of a loss: Hessian-vector products, extreme eigenvalues, spectral density, condition number.

A network with n weights has a Hessian of n x n numbers, too many to write down; but the product H v costs about as
much as two gradients, and Lanczos' method needs nothing else. `HessianOperator` is that product, for a model's loss on
a batch or for any function of a flat vector; the functions below it take the operator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""`loss_fn(outputs, targets)` -> a tensor of no dimensions."""

_EIGSH_OPTIONS = signature(eigsh).parameters
_LARGEST_DENSE = 20_000  # 3.2 GB in float64
_SMALLEST_LANCZOS = 32  # below, the dense matrix costs no more products than Lanczos


def hessian_vector_product(loss_fn: Callable[[Tensor], Tensor], w: Tensor, v: Tensor) -> Tensor:
    """H v, where H is the Hessian of `loss_fn` at `w`, without forming H.

    The directional derivative of the gradient along v (Pearlmutter 1994, "Fast exact multiplication by the Hessian"),
    by forward-mode over reverse-mode differentiation; where an operation has no forward mode, the gradient of
    (gradient . v), by reverse mode twice.

    Args:
        loss_fn: maps a tensor like `w` to a tensor of no dimensions.
        w: the point, of any shape.
        v: the direction, of the same shape.

    Returns:
        H v, with the shape of `w`, detached.

    Raises:
        ValueError: the shapes of `w` and `v` differ, or the loss is not one number.
        RuntimeError: an operation in `loss_fn` has no second derivative in PyTorch.
    """
    if w.shape != v.shape:
        raise ValueError(f"v must have the shape of w, {tuple(w.shape)}, not {tuple(v.shape)}.")
    try:
        return _forward_over_reverse(loss_fn, w, v)
    except _NO_FORWARD_MODE as error:
        return _reverse_over_reverse(loss_fn, w, v, error)


def flat_parameters(model: nn.Module) -> Tensor:
    """The model's parameters as one vector (n,): a detached copy.

    The order is that of `model.named_parameters()`, each flattened row by row, a shared parameter once, and without
    those whose `requires_grad` is False.

    Raises:
        ValueError: there are none, or they differ in dtype or device.
    """
    parameters = list(_trainable(model).values())
    if not parameters:
        raise ValueError("The model has no parameter with requires_grad=True, so there is nothing to differentiate by.")
    kinds = sorted({f"{p.dtype} on {p.device}" for p in parameters})
    if len(kinds) > 1:
        raise ValueError(f"The model's parameters must share one dtype and device, but there are {', '.join(kinds)}.")
    return torch.cat([p.detach().flatten() for p in parameters])


class HessianOperator:
    """The Hessian of a model's loss on a batch, as a linear operator on flat parameter vectors.

    The operator is of the loss as it is now: it copies the parameters and buffers and remembers each module's
    train/eval mode, so training the model on does not change it. Buffers are never updated. In train mode dropout draws
    the same mask in every product, and batch normalization uses the statistics of the batch.

    Args:
        model: any module; its parameters must share one dtype and device.
        loss_fn: `loss_fn(model(inputs), targets)` -> one number.
        inputs, targets: the batch, examples along the first dimension, moved to the model's device; floating-point
            tensors are converted to its dtype.
        chunk: examples per pass, which bounds the memory: each product then recomputes the gradient, one chunk after
            the other. The loss must be a mean (or a sum, see `reduction`) over examples with equal weights. By default
            all examples at once, and the gradient's graph is kept for the next product, which is several times as fast.
        reduction: how `loss_fn` combines its examples: "mean" or "sum". Matters with `chunk` only.

    Attributes:
        point: the parameters (dim,), in the order of `flat_parameters`.

    Raises:
        ValueError: empty or unequal data, a chunk below 1, chunks in spite of batch statistics, or parameters that
            `flat_parameters` refuses.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: Tensor,
        targets: Tensor,
        *,
        chunk: int | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        n = len(inputs)
        if n == 0 or n != len(targets):
            raise ValueError(f"There must be as many inputs as targets, and at least one, not {n} and {len(targets)}.")
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk is the number of examples per pass, at least 1, not {chunk}.")
        if reduction not in ("mean", "sum"):
            raise ValueError(f'reduction must be "mean" or "sum", not {reduction!r}.')
        if chunk is not None and chunk < n and _uses_batch_statistics(model):
            raise ValueError(
                "A batch normalization in train mode takes its statistics over the whole batch, so the Hessian cannot "
                "be summed over chunks: leave out chunk, or call model.eval() first."
            )
        self._set_point(flat_parameters(model))
        inputs, targets = (
            data.to(self.device, self.dtype if data.is_floating_point() else None) for data in (inputs, targets)
        )
        loss = _FlatLoss(model, loss_fn)
        size = n if chunk is None else chunk
        self._keeps_graph = chunk is None
        self._terms = [
            _Term(loss, x, y, len(x) / n if reduction == "mean" else 1.0)
            for x, y in zip(inputs.split(size), targets.split(size), strict=True)
        ]

    @classmethod
    def from_function(cls, f: Callable[[Tensor], Tensor], w: Tensor) -> HessianOperator:
        """The Hessian at `w` (dim,) of a plain function `f` from such a vector to one number.

        Raises:
            ValueError: `w` is not a floating-point vector of at least one element.
        """
        if w.ndim != 1 or w.numel() == 0 or not w.is_floating_point():
            raise ValueError(f"w must be a non-empty floating-point vector, not {w.dtype} of shape {tuple(w.shape)}.")
        operator = cls.__new__(cls)
        operator._set_point(w.detach().clone())
        operator._keeps_graph = True
        operator._terms = [f]
        return operator

    def _set_point(self, point: Tensor) -> None:
        self.point = point
        self._forward_mode = True  # until an operation turns out to have none
        self._gradient_graph: tuple[Tensor, Tensor] | None = None

    @property
    def dim(self) -> int:
        """The number of parameters, n: the Hessian is n x n."""
        return self.point.numel()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, in which products are computed."""
        return self.point.dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters, on which products are computed."""
        return self.point.device

    def loss(self, w: Tensor | None = None) -> Tensor:
        """The loss at the flat parameters `w` (dim,), by default at `point`: one number, detached."""
        point = self._vector(self.point if w is None else w)
        with torch.no_grad():
            return sum(term(point) for term in self._terms)

    def gradient(self, w: Tensor | None = None) -> Tensor:
        """The gradient (dim,) at the flat parameters `w`, by default at `point`."""
        point = self._vector(self.point if w is None else w)
        return sum(_gradient(term, point) for term in self._terms)

    def matvec(self, v: Tensor) -> Tensor:
        """H v, for a vector `v` (dim,): a new vector (dim,) with the operator's dtype and device.

        Raises:
            ValueError: `v` has another shape.
        """
        v = self._vector(v)
        if self._keeps_graph:
            try:
                return self._product_from_graph(v)
            except _NO_FORWARD_MODE as error:  # an operation without a second reverse mode may have a forward one
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                self._keeps_graph = False
        return self._product(v)

    def _product_from_graph(self, v: Tensor) -> Tensor:
        """H v by reverse mode over the gradient's graph, made once: measured 3 to 9 times as fast as `_product`."""
        with torch.enable_grad():
            if self._gradient_graph is None:
                w = self.point.clone().requires_grad_()
                loss = sum(_one_number(term)(w) for term in self._terms)
                (g,) = torch.autograd.grad(loss, w, create_graph=True, materialize_grads=True)
                self._gradient_graph = (w, g)
            w, g = self._gradient_graph
            if not g.requires_grad:  # a linear loss
                return torch.zeros_like(v)
            return torch.autograd.grad(g, w, v, retain_graph=True, materialize_grads=True)[0]

    def _product(self, v: Tensor) -> Tensor:
        """H v from scratch, one term after the other, so that one chunk's activations are in memory at a time."""
        if self._forward_mode:
            try:
                return _sum_forward_over_reverse(self._terms, self.point, v)
            except _NO_FORWARD_MODE as error:
                product = sum(_reverse_over_reverse(term, self.point, v, error) for term in self._terms)
                self._forward_mode = False
                return product
        return sum(_reverse_over_reverse(term, self.point, v) for term in self._terms)

    def linear_operator(self) -> LinearOperator:
        """The operator for SciPy: float64 NumPy vectors in and out, whatever the model's dtype and device."""

        def matvec(v: np.ndarray) -> np.ndarray:
            product = self.matvec(torch.from_numpy(np.ascontiguousarray(v, dtype=np.float64).reshape(-1)))
            return product.cpu().to(torch.float64).numpy()

        return LinearOperator((self.dim, self.dim), matvec=matvec, rmatvec=matvec, dtype=np.float64)

    def _vector(self, v: Tensor) -> Tensor:
        if v.shape != self.point.shape:
            raise ValueError(f"The operator takes vectors of shape ({self.dim},), not {tuple(v.shape)}.")
        return v.to(self.dtype).to(self.device)  # dtype first: not every device has float64


def dense_hessian(operator: HessianOperator, *, batch: int = 64) -> Tensor:
    """The whole Hessian (dim, dim), for small models: one product per row.

    Args:
        operator: the Hessian.
        batch: rows computed together (torch.func.vmap); the memory is that of `batch` products.

    Returns:
        The matrix, as computed: symmetric up to rounding, with the operator's dtype and device.

    Raises:
        ValueError: the matrix would have more than 20,000 rows.
    """
    if operator.dim > _LARGEST_DENSE:
        raise ValueError(
            f"A dense Hessian of {operator.dim:,} x {operator.dim:,} is too large (the limit is {_LARGEST_DENSE:,}): "
            "use extreme_eigenvalues or spectral_density, which only need products."
        )
    identity = torch.eye(operator.dim, dtype=operator.dtype, device=operator.device)
    forward = partial(_sum_forward_over_reverse, operator._terms, operator.point)
    try:
        return torch.cat([vmap(forward, randomness="same")(block) for block in identity.split(batch)])
    except _NO_FORWARD_MODE as error:  # or an operation without vmap
        if isinstance(error, torch.OutOfMemoryError):
            raise
    return torch.stack([operator.matvec(row) for row in identity])


class ExtremeEigenvalues(NamedTuple):
    """Both ends of a spectrum, float64 NumPy arrays; vectors are columns of unit length."""

    top: np.ndarray
    """The largest eigenvalues (k_top,), in descending order."""
    bottom: np.ndarray
    """The smallest (most negative) eigenvalues (k_bottom,), in ascending order."""
    top_vectors: np.ndarray
    """Eigenvectors (dim, k_top)."""
    bottom_vectors: np.ndarray
    """Eigenvectors (dim, k_bottom)."""


def extreme_eigenvalues(
    operator: HessianOperator,
    k_top: int = 1,
    k_bottom: int = 1,
    *,
    tol: float | None = None,
    seed: int = 0,
    max_restarts: int = 300,
) -> ExtremeEigenvalues:
    """The `k_top` largest and `k_bottom` smallest eigenvalues (by sign, not by size), with eigenvectors.

    Implicitly restarted Lanczos (ARPACK, through scipy.sparse.linalg.eigsh), from a start vector fixed by `seed`. The
    spectrum is shifted so that the wanted end lies farthest from zero: the accuracy is relative to the largest
    |eigenvalue|, not to the eigenvalue itself, which may be zero.

    Args:
        operator: the Hessian.
        k_top, k_bottom: how many of each end, 0 to dim.
        tol: residual |H u - lambda u| accepted, relative to the largest |eigenvalue|; by default 1e-6 in float64 and
            1e-4 in lower precisions. No eigenvalue is off by more; an isolated one only by about the square.
        seed: of the start vector.
        max_restarts: of ARPACK, before giving up.

    Raises:
        ValueError: more eigenvalues are asked for than there are, or the Hessian is not finite.
        RuntimeError: no convergence; the message says what to change.
    """
    if not (0 <= k_top <= operator.dim and 0 <= k_bottom <= operator.dim):
        raise ValueError(
            f"k_top and k_bottom must be from 0 to {operator.dim}, all eigenvalues, not {k_top} and {k_bottom}."
        )
    if operator.dim <= _SMALLEST_LANCZOS or max(k_top, k_bottom) >= operator.dim:
        values, vectors = np.linalg.eigh(_checked(dense_hessian(operator).cpu().to(torch.float64).numpy()))
        top, bottom = slice(-1, -k_top - 1, -1), slice(0, k_bottom)
        return ExtremeEigenvalues(values[top], values[bottom], vectors[:, top], vectors[:, bottom])
    if tol is None:
        tol = 1e-6 if operator.dtype == torch.float64 else 1e-4
    generator = np.random.default_rng(seed)
    start = generator.standard_normal(operator.dim)
    norm = _norm_estimate(operator, start) or 1.0
    ends = []
    for k, sign in ((k_top, 1.0), (k_bottom, -1.0)):
        if k == 0:
            ends.append((np.empty(0), np.empty((operator.dim, 0))))
            continue
        values, vectors = _top_of_shifted(operator, sign, norm, k, tol, start, max_restarts)
        order = np.argsort(values)[::-1]
        ends.append((sign * (values[order] - norm), vectors[:, order]))
    (top, top_vectors), (bottom, bottom_vectors) = ends
    return ExtremeEigenvalues(top, bottom, top_vectors, bottom_vectors)


@dataclass(frozen=True)
class SpectralDensity:
    """An estimate of how a Hessian's eigenvalues are distributed: a quadrature rule for each random probe.

    Attributes:
        nodes: where the eigenvalues are (Ritz values), float64 (probes, steps), ascending.
        weights: which share of them is there, float64 (probes, steps), each row summing to 1; unused nodes have
            weight 0.
    """

    nodes: np.ndarray
    weights: np.ndarray

    def fraction(self, low: float = -np.inf, high: float = np.inf) -> float:
        """The share of the eigenvalues in [low, high], averaged over the probes."""
        inside = (self.nodes >= low) & (self.nodes <= high)
        return float((self.weights * inside).sum() / len(self.nodes))

    def density(self, grid: np.ndarray | None = None, width: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The density as a curve: each node blurred to a Gaussian.

        Args:
            grid: where to evaluate (m,), by default 1,000 points over the nodes' range and a margin.
            width: standard deviation of the Gaussian, by default 1 % of the nodes' range.

        Returns:
            `(grid, density)`, both (m,); the density integrates to 1 over the whole line.
        """
        used = self.nodes[self.weights > 0]
        low, high = used.min(), used.max()
        if width is None:
            width = 0.01 * (high - low) or 0.01 * abs(high) or 0.01
        if grid is None:
            grid = np.linspace(low - 5 * width, high + 5 * width, 1000)
        grid = np.asarray(grid, dtype=np.float64)
        density = np.zeros_like(grid)
        for node, weight in zip(self.nodes.flat, self.weights.flat, strict=True):
            density += weight * np.exp(-0.5 * ((grid - node) / width) ** 2)
        return grid, density / (len(self.nodes) * width * np.sqrt(2 * np.pi))


def spectral_density(operator: HessianOperator, steps: int = 80, probes: int = 4, *, seed: int = 0) -> SpectralDensity:
    """The distribution of all eigenvalues, by stochastic Lanczos quadrature.

    From a random vector of signs, m Lanczos steps give the m-point Gauss quadrature of the spectrum as that vector
    weighs it; the average over vectors estimates the unweighted spectrum (Ubaru, Chen & Saad 2017, "Fast estimation of
    tr(f(A)) via stochastic Lanczos quadrature"; for networks: Ghorbani, Krishnan & Xiao 2019, arXiv:1901.10159).

    Args:
        operator: the Hessian.
        steps: Lanczos steps per probe; the ends of the spectrum come out sharp, the middle blurred. Each step is one
            product, and `steps` vectors are kept in float64 (8 * steps * dim bytes).
        probes: random vectors; the noise falls with their square root.
        seed: of the probes.

    Raises:
        ValueError: steps or probes below 1, or the Hessian is not finite.
    """
    if steps < 1 or probes < 1:
        raise ValueError(f"steps and probes must be at least 1, not {steps} and {probes}.")
    generator = np.random.default_rng(seed)
    steps = min(steps, operator.dim)
    nodes, weights = np.zeros((2, probes, steps))
    for i in range(probes):
        values, vectors = np.linalg.eigh(_lanczos(operator, generator.choice([-1.0, 1.0], operator.dim), steps))
        nodes[i], weights[i] = values[-1], 0.0  # what an early end leaves unused
        nodes[i, : len(values)], weights[i, : len(values)] = values, vectors[0] ** 2
    return SpectralDensity(nodes, weights)


def condition_number(
    spectrum: HessianOperator | Sequence[float] | np.ndarray | Tensor,
    *,
    rtol: float | None = None,
    dense_limit: int = 2_000,
) -> float:
    """max |lambda| / min |lambda| over the eigenvalues; infinite when the Hessian is singular.

    For a positive definite Hessian this is lambda_max / lambda_min, which governs gradient descent. An indefinite
    Hessian has the ratio of absolute values too, but no rate of convergence follows from it.

    Args:
        spectrum: eigenvalues (n,), or the operator itself: all its eigenvalues up to `dense_limit` parameters, both
            ends by Lanczos beyond that, which suffices if it is definite.
        rtol: a smallest |lambda| up to rtol * max |lambda| counts as zero; by default n times the machine epsilon of
            the dtype, as in numpy.linalg.matrix_rank.
        dense_limit: see `spectrum`.

    Raises:
        ValueError: no eigenvalues, a matrix instead of its eigenvalues, or an indefinite Hessian beyond `dense_limit`.
    """
    if isinstance(spectrum, HessianOperator):
        n, epsilon = spectrum.dim, torch.finfo(spectrum.dtype).eps
        if n <= dense_limit:
            sizes = np.abs(np.linalg.eigvalsh(_checked(dense_hessian(spectrum).cpu().to(torch.float64).numpy())))
        else:
            (top,), (bottom,), *_ = extreme_eigenvalues(spectrum)
            sizes = np.abs([top, bottom])
            indefinite = top > 0 > bottom
            if indefinite and sizes.min() > (n * epsilon if rtol is None else rtol) * sizes.max():
                raise ValueError(
                    f"This Hessian of {n:,} parameters is indefinite (eigenvalues from {bottom:.3g} to {top:.3g}), so "
                    "its smallest |eigenvalue| lies inside the spectrum, where Lanczos does not find it: raise "
                    "dense_limit if the dense matrix fits, or pass the eigenvalues that you mean."
                )
    else:
        if isinstance(spectrum, Tensor):
            spectrum = spectrum.detach().cpu().numpy()
        values = np.asarray(spectrum)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(
                f"The eigenvalues must be a non-empty vector, not of shape {values.shape}; for a matrix H, pass "
                "torch.linalg.eigvalsh(H)."
            )
        n = values.size
        epsilon = np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps
        sizes = np.abs(values.astype(np.float64))
    tolerance = n * epsilon if rtol is None else rtol
    return float("inf") if sizes.min() <= tolerance * sizes.max() else float(sizes.max() / sizes.min())


# What an operation without forward mode raises (in PyTorch 2.15 the gradient of F.mse_loss is one); so do honest
# errors, which the second route then raises again.
_NO_FORWARD_MODE = (NotImplementedError, RuntimeError)


def _one_number(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def checked(w: Tensor) -> Tensor:
        value = f(w)
        if not isinstance(value, Tensor) or value.ndim != 0:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f'The loss must be a tensor of one number (reduction="mean" or "sum"), not {shape}.')
        return value

    return checked


def _gradient(f: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = w.detach().requires_grad_()
        return torch.autograd.grad(_one_number(f)(leaf), leaf, materialize_grads=True)[0]


def _forward_over_reverse(f: Callable[[Tensor], Tensor], w: Tensor, v: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # The first jvp of a process makes PyTorch import a module that uses its own deprecated torch.jit.script.
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        return jvp(grad(_one_number(f)), (w.detach(),), (v.detach().to(w.dtype),))[1].detach()


def _sum_forward_over_reverse(terms: list[Callable[[Tensor], Tensor]], w: Tensor, v: Tensor) -> Tensor:
    return sum(_forward_over_reverse(term, w, v) for term in terms)


def _reverse_over_reverse(
    f: Callable[[Tensor], Tensor], w: Tensor, v: Tensor, first_error: Exception | None = None
) -> Tensor:
    if isinstance(first_error, torch.OutOfMemoryError):
        raise first_error
    with torch.enable_grad():
        leaf = w.detach().requires_grad_()
        (g,) = torch.autograd.grad(_one_number(f)(leaf), leaf, create_graph=True, materialize_grads=True)
        if not g.requires_grad:  # a linear loss
            return torch.zeros_like(w)
        return torch.autograd.grad(g, leaf, v.detach().to(w.dtype), materialize_grads=True)[0]


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _uses_batch_statistics(model: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in model.modules())


class _FlatLoss:
    """A model's loss as a function of its flat parameters, frozen as the model is now."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction) -> None:
        self.model, self.loss_fn = model, loss_fn
        trainable = _trainable(model)
        self.names, self.shapes = list(trainable), [p.shape for p in trainable.values()]
        self.sizes = [p.numel() for p in trainable.values()]
        self.constants = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
        self.buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        self.modes = [(module, module.training) for module in model.modules()]
        self.random = any(training for _, training in self.modes)

    def __call__(self, w: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        pieces = zip(self.names, w.split(self.sizes), self.shapes, strict=True)
        state = {name: piece.view(shape) for name, piece, shape in pieces}
        # Copies made here, because batch normalization updates its running statistics in place.
        state |= self.constants | {name: buffer.clone() for name, buffer in self.buffers.items()}
        with self._as_constructed(), _fixed_randomness(w.device) if self.random else nullcontext():
            return self.loss_fn(functional_call(self.model, state, (inputs,)), targets)

    @contextmanager
    def _as_constructed(self) -> Iterator[None]:
        now = [(module, module.training) for module, _ in self.modes]
        try:
            for module, training in self.modes:
                module.training = training
            yield
        finally:
            for module, training in now:
                module.training = training


@dataclass(frozen=True)
class _Term:
    """The share of one chunk of the data in the loss."""

    loss: _FlatLoss
    inputs: Tensor
    targets: Tensor
    weight: float

    def __call__(self, w: Tensor) -> Tensor:
        value = self.loss(w, self.inputs, self.targets)
        return value if self.weight == 1.0 else self.weight * value


@contextmanager
def _fixed_randomness(device: torch.device) -> Iterator[None]:
    """The same random numbers (dropout masks) every time; the caller's are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def _checked(matrix: np.ndarray) -> np.ndarray:
    if not np.isfinite(matrix).all():
        raise ValueError(
            "The Hessian has entries that are not finite: the loss overflows or has no second derivative here."
        )
    return matrix


def _lanczos(operator: HessianOperator, start: np.ndarray, steps: int) -> np.ndarray:
    """The tridiagonal matrix (m, m), m <= steps, of Lanczos' method from the vector `start` (dim,).

    Every new vector is made orthogonal to all before it, twice: without that, rounding brings back copies of the
    eigenvalues that converged first (Golub & Van Loan, Matrix Computations, section 10.3).
    """
    dtype = operator.dtype if operator.device.type == "mps" else torch.float64
    q = torch.from_numpy(start).to(dtype).to(operator.device)
    basis = torch.zeros(steps, operator.dim, dtype=dtype, device=operator.device)
    diagonal, off_diagonal = [], []
    q = q / q.norm()
    for i in range(steps):
        basis[i] = q
        r = operator.matvec(q).to(dtype)
        diagonal.append(float(q @ r))
        for _ in range(2):
            r = r - basis[: i + 1].T @ (basis[: i + 1] @ r)
        beta = float(r.norm())
        _checked(np.array([diagonal[-1], beta]))
        scale = max(map(abs, diagonal + off_diagonal))
        if i + 1 == steps or beta <= 10 * torch.finfo(operator.dtype).eps * scale:  # the space is exhausted
            break
        off_diagonal.append(beta)
        q = r / beta
    return np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)


def _norm_estimate(operator: HessianOperator, start: np.ndarray) -> float:
    """About the largest |eigenvalue|: a few Lanczos steps find it to some percent."""
    return float(np.abs(np.linalg.eigvalsh(_lanczos(operator, start, min(10, operator.dim)))).max())


def _top_of_shifted(
    operator: HessianOperator,
    sign: float,
    shift: float,
    k: int,
    tol: float,
    start: np.ndarray,
    max_restarts: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenvalues of sign * H + shift * identity, and their vectors."""
    hessian = operator.linear_operator()
    shifted = LinearOperator(hessian.shape, matvec=lambda v: sign * hessian.matvec(v) + shift * v, dtype=np.float64)
    ncv = min(operator.dim, max(2 * k + 1, 40))
    # Newer SciPy draws from `rng` when Lanczos exhausts its space; older versions draw inside ARPACK.
    options = {"rng": np.random.default_rng(0)} if "rng" in _EIGSH_OPTIONS else {}
    try:
        return eigsh(shifted, k=k, which="LA", v0=start, tol=tol, ncv=ncv, maxiter=max_restarts, **options)
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"Lanczos did not reach the tolerance {tol:g} for {k} eigenvalue(s) of the "
            f"{'top' if sign > 0 else 'bottom'} in {max_restarts} restarts: raise tol or max_restarts, compute in "
            "float64, or ask for fewer eigenvalues where they cluster."
        ) from error
