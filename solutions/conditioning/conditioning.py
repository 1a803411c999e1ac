# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Conditioning
#
# Chapter [Conditioning](../../book/conditioning.md) showed why one learning rate cannot suit a ravine. Here you
# build the tools that see a ravine before you fall into it. At the end they tell you the largest learning rate that
# a network on real images can take, and you watch what happens above it.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need.
#
# There are six exercises: 20 points, about 95 minutes. Three rules hold for all of them.
#
# - Inputs are float32 or float64 tensors, and the answer is as precise as the input. Leave every input as it was.
# - Where a signature says `float`, a tensor without dimensions is accepted too.
# - Loops, PyTorch and NumPy are all fine, unless the text says otherwise.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math

import torch

# %% [markdown]
# ## 1. What kind of critical point?
#
# *easy, five lines to ten, about 15 minutes, 3 points*
#
# At a critical point the gradient is zero, so the Hessian decides. Take a small step $d$:
#
# $$\mathcal{L}(w + d) \approx \mathcal{L}(w) + \tfrac12 d^\top H d .$$
#
# Along an eigenvector of $H$ the loss bends up if the eigenvalue is positive, and down if it is negative.
# Computed eigenvalues carry rounding errors, so say first what zero means: an eigenvalue $\lambda_i$ **counts as zero**
# when
#
# $$|\lambda_i| \le 10^{-6} \cdot \max_j |\lambda_j| .$$
#
# Eigenvalues that count as zero are neither positive nor negative. Then apply the first of these rules that fits:
#
# 1. Some eigenvalue is positive and another is negative: `"saddle"`. It stays a saddle when a third one counts as zero,
#    for there is already one way up and one way down.
# 2. Some eigenvalue counts as zero: `"degenerate"`. The Hessian cannot decide: $x^2 + y^4$ has a minimum at the origin,
#    $x^2 - y^4$ has not, and both have the same Hessian there.
# 3. All are positive: `"minimum"`.
# 4. All are negative: `"maximum"`.


# %% nbgrader={"grade_id": "classify_critical_point", "solution": true}
def classify_critical_point(hessian: torch.Tensor) -> str:
    """Say what kind of critical point has this Hessian.

    Args:
        hessian: symmetric, of shape (n, n), float32 or float64.

    Returns:
        ``"minimum"``, ``"maximum"``, ``"saddle"`` or ``"degenerate"``.
    """
    ### BEGIN SOLUTION
    eigenvalues = torch.linalg.eigvalsh(hessian)
    threshold = 1e-6 * eigenvalues.abs().max()
    up = (eigenvalues > threshold).any()
    down = (eigenvalues < -threshold).any()
    if up and down:
        return "saddle"
    if (eigenvalues.abs() <= threshold).any():
        return "degenerate"
    return "minimum" if up else "maximum"
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_classify_critical_point", "grade": true, "points": 3}
bowl = torch.diag(torch.tensor([1.0, 50.0]))
assert classify_critical_point(bowl) == "minimum", "Both eigenvalues are positive: the loss bends up everywhere."
assert classify_critical_point(-bowl) == "maximum", "Both eigenvalues are negative: the loss bends down everywhere."
pass_between_hills = torch.diag(torch.tensor([1.0, -50.0]))
assert classify_critical_point(pass_between_hills) == "saddle", "One way goes up, the other down: a saddle."
valley = torch.diag(torch.tensor([3.0, 0.0]))
assert classify_critical_point(valley) == "degenerate", "One direction does not bend: the Hessian cannot decide."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "classify_critical_point", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Condition number
#
# *easy, one line to five, about 10 minutes, 3 points*
#
# For a symmetric Hessian $H$ with eigenvalues $\lambda_1, \dots, \lambda_n$,
#
# $$\kappa(H) = \frac{\max_i |\lambda_i|}{\min_i |\lambda_i|}.$$
#
# The absolute values matter at a saddle point, where some eigenvalues are negative. When a computed eigenvalue is
# exactly 0 the condition number is `math.inf`. There is no tolerance here: a smallest eigenvalue that is tiny but not 0
# gives a condition number that is huge but finite.


# %% nbgrader={"grade_id": "condition_number", "solution": true}
def condition_number(hessian: torch.Tensor) -> float:
    """Return the condition number of a symmetric matrix.

    Args:
        hessian: symmetric, of shape (n, n), float32 or float64.

    Returns:
        The largest absolute eigenvalue over the smallest, a float >= 1; ``math.inf`` if the smallest is 0.
    """
    ### BEGIN SOLUTION
    magnitudes = torch.linalg.eigvalsh(hessian).abs()
    smallest = magnitudes.min().item()
    return math.inf if smallest == 0 else magnitudes.max().item() / smallest
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_condition_number", "grade": true, "points": 3}
ravine = torch.diag(torch.tensor([1.0, 50.0]))
assert math.isclose(condition_number(ravine), 50, rel_tol=1e-5), (
    "A ravine 50 times as steep across as along has condition number 50."
)
assert math.isclose(condition_number(torch.eye(3)), 1, rel_tol=1e-5), "A round bowl has condition number 1."
assert math.isclose(condition_number(torch.diag(torch.tensor([-2.0, 8.0]))), 4, rel_tol=1e-5), (
    "At a saddle point, use absolute values."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "condition_number", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The best that gradient descent can do
#
# *easy, two lines and some algebra, about 15 minutes, 2 points*
#
# Gradient descent on a quadratic loss multiplies the error along each eigenvector by a factor of its own:
#
# $$w_{i+1} = w_i - \eta \, \lambda \, w_i = (1 - \eta\lambda)\, w_i .$$
#
# The slowest direction decides. So the rate, the factor by which the error shrinks per step in the worst case, is
#
# $$\rho(\eta) = \max\big(|1 - \eta\lambda_{\min}|,\; |1 - \eta\lambda_{\max}|\big) .$$
#
# Find the $\eta$ with the smallest $\rho$. Draw both terms as functions of $\eta$ if you are not sure where to look:
# one falls where the other rises. The best rate depends on the condition number
# $\kappa = \lambda_{\max} / \lambda_{\min}$ alone.


# %% nbgrader={"grade_id": "best_gradient_descent", "solution": true}
def best_gradient_descent(lambda_min: float, lambda_max: float) -> tuple[float, float]:
    """Return the best fixed learning rate for a quadratic loss, and the rate it gives.

    Args:
        lambda_min: the smallest eigenvalue of the Hessian, > 0.
        lambda_max: the largest eigenvalue, >= lambda_min.

    Returns:
        ``(lr, rate)``: the learning rate, and the factor per step on the error in the worst direction, in [0, 1).
    """
    ### BEGIN SOLUTION
    lr = 2 / (lambda_max + lambda_min)
    rate = (lambda_max - lambda_min) / (lambda_max + lambda_min)
    return lr, rate
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_best_gradient_descent", "grade": true, "points": 2}
best_lr, best_rate = best_gradient_descent(1.0, 9.0)
along, across = abs(1 - best_lr * 1.0), abs(1 - best_lr * 9.0)
assert max(along, across) < 1, "With this learning rate gradient descent does not converge."
assert math.isclose(along, across, rel_tol=1e-5), (
    "One direction shrinks faster than the other: a better learning rate lies between."
)
assert math.isclose(best_rate, along, rel_tol=1e-5), "The rate is not the factor that your own learning rate gives."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "best_gradient_descent", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Newton's step
#
# *medium, one line to five, about 10 minutes, 3 points*
#
# Newton's method does not mind a ravine. It divides each direction by its own curvature:
#
# $$w_{i+1} = w_i - H(w_i)^{-1}\, \nabla \mathcal{L}(w_i) .$$
#
# On a quadratic loss one step lands on the critical point, whatever $\kappa$ is. It lands there too when the
# critical point is a saddle or a maximum, which is one reason why it is rarely used as it stands. Compute the step as
# the formula says: $H$ can be inverted, but its eigenvalues may have either sign.
#
# You need the solution of $H d = \nabla \mathcal{L}$, not the inverse. Solving is cheaper and loses fewer digits.
# Either is accepted.


# %% nbgrader={"grade_id": "newton_step", "solution": true}
def newton_step(w: torch.Tensor, grad: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Return the weights after one Newton step.

    Args:
        w: the weights, of shape (n,), float32 or float64. Not modified.
        grad: the gradient at w, of shape (n,), same dtype. Not modified.
        hessian: the Hessian at w, symmetric, invertible, of shape (n, n), same dtype. Not modified.

    Returns:
        The new weights, a new tensor of shape (n,) and of w's dtype.
    """
    ### BEGIN SOLUTION
    return w - torch.linalg.solve(hessian, grad)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_newton_step", "grade": true, "points": 3}
steep = torch.tensor([[2.0, 1.0], [1.0, 50.0]])
lowest = torch.tensor([3.0, -1.0])
start = torch.tensor([10.0, 10.0])
landed = newton_step(start, steep @ (start - lowest), steep)
assert landed.shape == (2,), f"The new weights should have the shape of w, (2,), not {tuple(landed.shape)}."
assert torch.allclose(landed, lowest, atol=1e-4), "On a quadratic loss, one step lands on the critical point."
assert start.tolist() == [10.0, 10.0], "Your function changed w. Return a new tensor."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "newton_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. The Hessian times a vector, without the Hessian
#
# *hard, three lines to six, about 25 minutes, 5 points*
#
# A network with a million weights has a Hessian with $10^{12}$ entries. You cannot store it, but you can multiply by
# it. The product $Hv$ is the derivative of the gradient along $v$,
#
# $$H(w)\, v = \frac{\partial}{\partial w}\Big( \nabla\mathcal{L}(w)^\top v \Big)
# = \left.\frac{\mathrm d}{\mathrm d t}\, \nabla\mathcal{L}(w + t v)\right|_{t=0} \qquad (v \text{ constant}),$$
#
# and both forms cost about as much as two gradients. The first is a gradient of a gradient (`create_graph=True`). The
# second is a forward derivative of a gradient (`torch.func.jvp` of `torch.func.grad`). Choose one, and mind this:
#
# - The product is exact. A finite difference, $(\nabla\mathcal{L}(w + \epsilon v) - \nabla\mathcal{L}(w)) / \epsilon$,
#   loses half of the digits and is not accepted.
# - No matrix of $n \times n$ numbers, and no loop over its rows. The hidden tests go to $n = 200\,000$.
# - `w` may come with or without `requires_grad`. Leave it, and `w.grad`, as they were.
# - The result is detached: no gradient flows back from it.
# - If the loss is linear in `w`, the gradient does not depend on `w`, and $Hv$ is zero. Return zeros then.


# %% nbgrader={"grade_id": "hessian_vector_product", "solution": true}
def hessian_vector_product(loss_fn, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return the Hessian of ``loss_fn`` at ``w``, times ``v``.

    Args:
        loss_fn: a function from weights of shape (n,) to the loss, a tensor of shape ().
        w: the weights, of shape (n,), float32 or float64, with or without requires_grad. Not modified.
        v: the vector, of shape (n,), same dtype. Not modified.

    Returns:
        The product, detached, of shape (n,) and of w's dtype.
    """
    ### BEGIN SOLUTION
    w = w.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_fn(w), w, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(w, requires_grad=False)
    (product,) = torch.autograd.grad(gradient @ v.detach(), w, materialize_grads=True)
    return product.detach()
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_hessian_vector_product", "grade": true, "points": 5}
def banana(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


here = torch.tensor([-1.0, 2.0], dtype=torch.float64)
direction = torch.tensor([0.5, -3.0], dtype=torch.float64)
product = hessian_vector_product(banana, here, direction)
# Two weights only, so here the whole Hessian is affordable.
whole = torch.autograd.functional.hessian(banana, here)
assert product.shape == (2,), f"The product should have the shape of w, (2,), not {tuple(product.shape)}."
assert torch.allclose(product, whole @ direction), "The product differs from the whole Hessian times the vector."
assert not product.requires_grad, "The product still carries a graph. Detach it."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "hessian_vector_product", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Power iteration
#
# *medium, eight lines to fifteen, about 20 minutes, 4 points*
#
# Multiply a random vector by $H$ again and again. Each product stretches the direction with the largest $|\lambda|$ the
# most, until nothing else is left:
#
# $$v \leftarrow \frac{H v}{\lVert H v \rVert} .$$
#
# When $v$ has settled, the Rayleigh quotient $\lambda = v^\top H v$ (with $\lVert v \rVert = 1$) is the eigenvalue,
# sign included. The length $\lVert H v \rVert$ is not: it is never negative.
#
# - Start from a normal random vector, drawn with `generator` and with nothing else.
# - Take `steps` steps. Call `hvp` at most `steps + 1` times: each call costs two gradients of a network.
# - If a product is exactly zero, stop: $v$ is an eigenvector with eigenvalue 0.


# %% nbgrader={"grade_id": "power_iteration", "solution": true}
def power_iteration(hvp, dim: int, steps: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
    """Return the eigenvalue that is largest in absolute value, and its eigenvector.

    Args:
        hvp: a function from a vector of shape (dim,), float32 or float64, to the Hessian times it, of the same
            shape and dtype.
        dim: the number of weights.
        steps: how many steps to take, at least 1.
        generator: where the start is drawn from, a generator on the CPU.

    Returns:
        ``(eigenvalue, eigenvector)``: the eigenvalue with its sign, a float, and the eigenvector, of shape (dim,) and
        of length 1. The eigenvector's own sign is free.
    """
    ### BEGIN SOLUTION
    v = torch.randn(dim, generator=generator)
    v = v / v.norm()
    for _ in range(steps):
        product = hvp(v)
        length = product.norm()
        if length == 0:
            return 0.0, v
        v = product / length
    return (v @ hvp(v)).item(), v
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_power_iteration", "grade": true, "points": 4}
slope_down = torch.diag(torch.tensor([1.0, -5.0, 2.0]))
top, top_vector = power_iteration(lambda v: slope_down.to(v.dtype) @ v, 3, 50, torch.Generator().manual_seed(0))
assert abs(abs(top) - 5) < 1e-3, "The eigenvalue should have the largest absolute value of all."
assert top < 0, "The direction that bends the most bends down here. Where did the sign go?"
assert top_vector.shape == (3,), f"The eigenvector should have the shape (3,), not {tuple(top_vector.shape)}."
assert abs(top_vector[1].abs() - 1) < 1e-3, "The eigenvector should point along the second axis, with length 1."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "power_iteration", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it work
#
# *nothing to write, about 5 minutes*
#
# Here is a small network on 1000 images of Fashion-MNIST, shrunk to 7 by 7 pixels. All its weights are in one
# vector `w`.


# %% nbgrader={"grade_id": "payoff_network", "locked": true} tags=["payoff"]
import matplotlib.pyplot as plt

from ravines.data import device, fashion_mnist

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
images, labels = (part[::10].to(device()) for part in fashion_mnist())
inputs = torch.nn.functional.avg_pool2d(images, 4).flatten(1)
inputs = (inputs - inputs.mean()) / inputs.std()
hidden, shapes = 16, [(49, 16), (16,), (16, 10), (10,)]


def network_loss(w):
    """Return the mean cross-entropy of a network with one hidden layer and all its weights in w."""
    weight1, bias1, weight2, bias2 = (
        part.view(shape) for part, shape in zip(w.split([math.prod(s) for s in shapes]), shapes, strict=True)
    )
    scores = torch.tanh(inputs @ weight1 + bias1) @ weight2 + bias2
    return torch.nn.functional.cross_entropy(scores, labels)


def gradient_descent(w, lr, steps):
    """Return the weights before each step, and the losses there."""
    path, losses = [], []
    for _ in range(steps):
        w = w.detach().requires_grad_()
        loss = network_loss(w)
        (gradient,) = torch.autograd.grad(loss, w)
        path.append(w.detach())
        losses.append(loss.item())
        w = w - lr * gradient
    return path, losses


# %% [markdown]
# Your two functions measure the steepest curvature, $\lambda_{\max}$, before and after 600 steps of training. No
# Hessian is ever formed. Near $w$ the loss is almost quadratic, so along the steepest direction each step multiplies
# an error by $1 - \eta\lambda_{\max}$. That predicts the largest stable learning rate, $2/\lambda_{\max}$.
#
# To test the prediction, push the weights a little along that direction. Then run gradient descent twice, with a
# learning rate 10 % below the limit and 10 % above it.

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
generator = torch.Generator().manual_seed(0)


def top_curvature(w):
    """Return the top eigenvalue and eigenvector of the network's Hessian at w, by your functions."""
    value, vector = power_iteration(
        lambda v: hessian_vector_product(network_loss, w, v.to(w)).to(v), w.numel(), 200, generator
    )
    return float(value), vector.to(w)


w_start = torch.cat([torch.randn(math.prod(s), generator=generator) / s[0] ** 0.5 for s in shapes]).to(device())
try:
    lambda_start, _ = top_curvature(w_start)
    w_trained = gradient_descent(w_start, 0.25, 601)[0][-1]
    lambda_max, steepest = top_curvature(w_trained)
except NotImplementedError:
    print("Finish exercises 5 and 6 first: the Hessian times a vector, and power iteration.")
else:
    limit = 2 / lambda_max
    print(f"{w_start.numel()} weights on {inputs.device.type}")
    print(f"lambda_max at the start {lambda_start:.2f}, after training {lambda_max:.2f}")
    print(f"so the largest stable learning rate here is 2 / {lambda_max:.2f} = {limit:.3f}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for factor, color, name in ((0.9, "#0072B2", "10 % below"), (1.1, "#D55E00", "10 % above")):
        path, losses = gradient_descent(w_trained + 0.02 * steepest, factor * limit, 60)
        error = [abs(((w - w_trained) @ steepest).item()) for w in path]
        predicted = [0.02 * abs(1 - 2 * factor) ** step for step in range(13)]
        left.semilogy(error, color=color, label=name)
        left.semilogy(predicted, ":", color=color, lw=3, alpha=0.6)
        right.plot(losses, color=color, label=name)
        lambda_end, _ = top_curvature(path[-1])
        print(f"{name} the limit, after 60 steps: lambda_max {lambda_end:.2f}, 2 / lambda_max {2 / lambda_end:.3f}")
    left.set(xlabel="step", ylabel="error along the steepest direction")
    left.set_title("Dotted: predicted from your eigenvalue", fontsize=10)
    right.set(xlabel="step", ylabel="loss (mean cross-entropy)")
    right.legend(title="learning rate")
    plt.show()

# %% [markdown]
# Below the limit the error dies out. Above it the error flips its sign and grows by the factor you predicted, and the
# loss rises with it. A quadratic loss would now blow up. The network does not: once the error is large, the weights
# move to where the loss bends less, and the limit rises to meet the learning rate. Compare the last two lines printed
# above.
