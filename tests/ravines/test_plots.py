"""Figures: for desk and phone, with alt text, the same bytes each time."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ravines import plots

ALT = "Three points on a rising line, which is what a test needs."


def sizes(picture):
    return [Image.open(io.BytesIO(png)).size for png in (picture.screen, picture.phone)]


def test_two_layouts_of_the_same_drawing():
    calls = []

    def draw(left, right):
        calls.append((left, right))
        left.plot([1, 2, 3])

    picture = plots.figure(draw, panels=2, height=2.0, alt=ALT)
    assert len(calls) == 2
    (screen_width, screen_height), (phone_width, phone_height) = sizes(picture)
    assert screen_width > 1.7 * screen_height  # side by side
    assert phone_height > 0.9 * phone_width  # below one another
    assert phone_width < screen_width


def test_small_pictures_may_stand_side_by_side_on_a_phone():
    four = [plots.figure(lambda *axes: None, panels=4, phone_columns=n, height=2.0, alt=ALT) for n in (1, 2)]
    (_, (width, stacked)), (_, (same_width, paired)) = map(sizes, four)
    assert same_width == width and stacked == pytest.approx(2 * paired, rel=0.01)


def test_alt_text_is_required_and_escaped():
    with pytest.raises(ValueError, match="alt text"):
        plots.figure(lambda ax: None, alt="a plot")
    html = plots.figure(lambda ax: None, alt='loss < 1 & "rising" <b>everywhere</b>, say')._repr_mimebundle_()[
        "text/html"
    ]
    (alt,) = re.findall(r'alt="([^"]*)"', html)
    assert alt == "loss &lt; 1 &amp; &quot;rising&quot; &lt;b&gt;everywhere&lt;/b&gt;, say"


def test_the_html_holds_both_pictures():
    picture = plots.figure(lambda ax: ax.plot([1, 2]), alt=ALT, caption="A <em>caption</em>")
    html = picture._repr_mimebundle_()["text/html"]
    stored = [base64.b64decode(b) for b in re.findall(r"base64,([^\"]+)", html)]
    assert stored == [picture.phone, picture.screen]
    assert "<figcaption>A <em>caption</em></figcaption>" in html


def test_the_same_drawing_gives_the_same_bytes():
    first, second = (plots.figure(lambda ax: ax.plot([1, 4, 2], label="a"), alt=ALT) for _ in range(2))
    assert (first.screen, first.phone) == (second.screen, second.phone)


def test_a_panel_is_lower_on_a_phone_unless_it_says_otherwise():
    def height(png):
        return int.from_bytes(png[20:24], "big") / plots.STYLE["savefig.dpi"]

    usual, tall = (
        plots.figure(lambda ax: ax.plot([1, 2]), height=5.0, alt=ALT, **more) for more in ({}, {"phone_height": 4.0})
    )
    assert (height(usual.screen), height(usual.phone), height(tall.phone)) == (5.0, 3.0, 4.0)


def test_band_is_median_and_range():
    seen = {}

    def draw(ax):
        plots.band(ax, np.arange(2), np.array([[1.0, 5.0], [3.0, 6.0], [8.0, 4.0]]), label="runs")
        seen["line"] = ax.lines[0].get_ydata().tolist()
        seen["box"] = ax.collections[0].get_datalim(ax.transData).intervaly.tolist()

    plots.figure(draw, alt=ALT)
    assert seen == {"line": [3.0, 5.0], "box": [1.0, 8.0]}


def test_colours_differ_for_people_who_do_not_see_red_and_green_alike():
    """Every two line colours stay apart after a simulation of deuteranopia (Vienot et al. 1999)."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    deuteranopia = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in plots.CYCLE]) ** 2.2
    seen = (np.linalg.inv(to_lms) @ deuteranopia @ to_lms @ rgb.T).T.clip(0, 1) ** (1 / 2.2)
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
    assert min(distances) > 0.1
