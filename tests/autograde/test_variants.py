"""Templates of the answers on file: parts fill in lines and places, and an unknown part is an error."""

import pytest

from autograde.variants import filled, right

TEMPLATE = """
def double(x):
    {before}
    for _ in "ab":
        {step}
    return {result}, {}
"""
USUAL = {"before": "total = 0", "step": "total += x", "result": "total"}


def test_usual_parts_make_the_usual_answer():
    scope = {}
    exec(filled(TEMPLATE, USUAL, {}), scope)
    assert scope["double"](4) == (8, {})


def test_a_part_of_several_lines_is_indented_like_its_line():
    code = filled(TEMPLATE, USUAL, {"step": "\nif x:\n    total += x\n", "result": "abs(total)"})
    wanted = """
        def double(x):
            total = 0
            for _ in "ab":
                if x:
                    total += x
            return abs(total), {}
    """
    assert right("", code).code == right("", wanted.rstrip(" ")).code


def test_an_unknown_part_is_an_error():
    with pytest.raises(KeyError, match="no such part: stop"):
        filled(TEMPLATE, USUAL, {"stop": "pass"})
