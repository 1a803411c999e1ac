"""The hidden checks of the assignment `conditioning`."""

import math

import numpy as np
import torch

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student


def _symmetric(eigenvalues: torch.Tensor, cases: Cases) -> torch.Tensor:
    """Return a symmetric matrix with these eigenvalues and random eigenvectors."""
    basis, _ = torch.linalg.qr(cases.randn(len(eigenvalues), len(eigenvalues)))
    matrix = basis @ torch.diag(eigenvalues) @ basis.T
    return (matrix + matrix.T) / 2


@check
def condition_number(student: Student, cases: Cases) -> None:
    """Compare with NumPy's 2-norm condition number, which comes from singular values, not eigenvalues."""
    with cases("a rotated ravine"):
        hessian = _symmetric(torch.tensor([0.5, 2.0, cases.uniform(20, 90)], dtype=torch.float64), cases)
        kappa = student.call("condition_number", hessian)
        expect.kind(kappa, (float, int), "The condition number")
        expect.close(
            kappa,
            np.linalg.cond(hessian.numpy(), 2),
            "Use the eigenvalues, not the entries on the diagonal: a Hessian is rarely diagonal.",
        )
    with cases("a saddle"):
        hessian = _symmetric(torch.tensor([-cases.uniform(5, 9), 0.25, 3.0], dtype=torch.float64), cases)
        expect.close(
            student.call("condition_number", hessian),
            np.linalg.cond(hessian.numpy(), 2),
            "Take absolute values of the eigenvalues before the largest and the smallest.",
        )
    with cases("a flat direction"):
        flat = torch.diag(torch.tensor([0.0, cases.uniform(1, 5)], dtype=torch.float64))
        expect.equal(student.call("condition_number", flat), math.inf, "An eigenvalue of exactly 0 gives math.inf.")
