"""Right and wrong answers to the assignment `conditioning`, on file for `autograde verify`."""

from autograde.variants import right, wrong

VARIANTS = {
    "condition_number": [
        right(
            "singular values",
            """
            def condition_number(hessian):
                s = torch.linalg.svdvals(hessian)
                return float("inf") if s[-1] == 0 else float(s[0] / s[-1])
            """,
        ),
        wrong(
            "signed eigenvalues",
            """
            def condition_number(hessian):
                e = torch.linalg.eigvalsh(hessian)
                return math.inf if e[0] == 0 else (e[-1] / e[0]).abs().item()
            """,
            hint="absolute values",
        ),
    ],
}
