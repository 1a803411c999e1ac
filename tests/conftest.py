"""Which tests run on one worker, and in which order: the long ones first, so that no worker ends alone with one.

`make test` runs pytest with `--dist loadgroup`. The tests of a file share its fixtures and stay together. Where each
parameter of a file's tests is minutes of work, and shares nothing, the parameter is a group of its own.
"""

import pytest

#: Files whose tests share nothing but their parameter.
SPLIT = (
    "tests/solutions/test_assignments.py",
    "tests/autograde/test_stock_nbgrader.py",
    "tests/book/test_second_run.py",
)


def pytest_collection_modifyitems(config, items):
    if not hasattr(config, "workerinput"):
        return  # nothing runs side by side
    slow = set()
    for item in items:
        file = item.path.relative_to(config.rootpath).as_posix()
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        group = f"{file}:{next(iter(parameters), '')}" if file in SPLIT else file
        item.add_marker(pytest.mark.xdist_group(group))
        if item.get_closest_marker("slow"):
            slow.add(group)
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] not in slow)
