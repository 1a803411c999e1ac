"""Networks drawn as columns, and tables."""

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ravines.diagrams import Box, columns, table


def drawn(networks):
    axes = Figure().add_subplot()
    columns(axes, networks)
    return axes


def test_each_layer_is_a_box_with_its_label_below_the_one_before():
    axes = drawn({"A": [Box("first", size=0.0), Box("second", "pooling")], "B": [Box("only")]})
    boxes = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert len(boxes) == 3
    assert boxes[0].get_y() > boxes[1].get_y() and boxes[0].get_width() < boxes[1].get_width()
    assert boxes[0].get_facecolor() != boxes[1].get_facecolor() and boxes[0].get_facecolor() == boxes[2].get_facecolor()
    assert boxes[2].get_x() > boxes[1].get_x() + boxes[1].get_width()
    assert {t.get_text() for t in axes.texts} == {"first", "second", "only", "A", "B"}
    left, right = axes.get_xlim()
    assert left < min(b.get_x() for b in boxes) and right > max(b.get_x() + b.get_width() for b in boxes)


def test_a_shortcut_goes_from_the_box_where_it_begins_to_its_own():
    axes = drawn({"A": [Box("0"), Box("1"), Box("2", shortcut=2, dashed=True), Box("3", shortcut=1)]})
    first, second = (p for p in axes.patches if isinstance(p, FancyArrowPatch))
    assert first.get_linestyle() == "--" and second.get_linestyle() == "-"
    (_, begin), (_, end) = first._posA_posB
    assert begin - end == 2


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="'conv' is no kind of box; use one of convolution"):
        drawn({"A": [Box("x", "conv")]})
    with pytest.raises(ValueError, match="begins above the first box of A"):
        drawn({"A": [Box("x"), Box("y", shortcut=2)]})


def test_a_table_shows_itself_as_html_and_as_text():
    made = table(["network", "parameters", "of"], [["A<B", 61_100_840, "x"], ["C", 1.5, True]], caption="Sizes")
    shown = made._repr_mimebundle_()
    assert '<th scope="row">A&lt;B</th><td class="number">61,100,840</td><td class="text">x</td>' in shown["text/html"]
    assert "<caption>Sizes</caption>" in shown["text/html"] and 'class="wide"' in shown["text/html"]
    assert shown["text/plain"].splitlines()[1] == "A<B      61,100,840  x"
    with pytest.raises(ValueError, match="header has 2 columns"):
        table(["a", "b"], [[1, 2, 3]])
