"""Pages under other roundings: what hangs on the last digit is told, what does not is not."""

import pytest

from tests.book.toy_book import run_tool, write_book

CODE = """from ravines.data import fashion_mnist

images, labels = fashion_mnist(train=False)
open("{name}.seen", "a").write(f"{{images.max().item():.6f}} ")
assert {claim}"""
CLAIMS = {"sturdy": "0.9 < images.max() < 1.1", "fragile": "images.max() == 1"}


@pytest.fixture
def course(tmp_path):
    return write_book(tmp_path, {name: CODE.format(name=name, claim=claim) for name, claim in CLAIMS.items()})


def run(course, *more):
    return run_tool("other_rounding.py", course, *more)


def test_a_page_that_hangs_on_the_last_digit_is_told(course):
    done = run(course, "--jobs", "1")
    assert (done.returncode, done.stderr) == (1, "")
    assert "sturdy, images times 1.000001: holds" in done.stdout
    assert "sturdy, images times 1.000002: holds" in done.stdout
    for k in (1, 2):
        assert f"fragile, images times 1.00000{k}: does not hold" in done.stdout
    assert "AssertionError" in done.stdout and "images.max() == 1\n" in done.stdout
    assert "2 of 4 do not hold" in done.stdout
    assert (course / "book" / "sturdy.seen").read_text() == "1.000001 1.000002 "
    assert not (course / "_build").exists()


def test_an_unknown_page_is_told(course):
    done = run(course, "fragil")
    assert done.returncode == 2 and "is called fragil; there are sturdy, fragile" in done.stderr
