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
# Chapter [Conditioning](../../book/conditioning.md) showed why one learning rate
# cannot suit a ravine. Here you build the tools that see a ravine before you fall into it.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math

import torch

# %% [markdown]
# ## Condition number
#
# *one line to five, about 10 minutes, 3 points*
#
# For a symmetric Hessian $H$ with eigenvalues $\lambda_1, \dots, \lambda_n$,
#
# $$\kappa(H) = \frac{\max_i |\lambda_i|}{\min_i |\lambda_i|}.$$
#
# The absolute values matter at a saddle point, where some eigenvalues are negative. When an eigenvalue is exactly 0
# the condition number is `math.inf`.


# %% nbgrader={"grade_id": "condition_number", "solution": true}
def condition_number(hessian: torch.Tensor) -> float:
    """Return the condition number of a symmetric matrix.

    Args:
        hessian: symmetric, of shape (n, n), any floating dtype.

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
assert condition_number(ravine) == 50, "A ravine 50 times as steep across as along has condition number 50."
assert condition_number(torch.eye(3)) == 1, "A round bowl has condition number 1."
assert condition_number(torch.diag(torch.tensor([-2.0, 8.0]))) == 4, "At a saddle point, use absolute values."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("conditioning", "condition_number", globals())
### END HIDDEN TESTS
