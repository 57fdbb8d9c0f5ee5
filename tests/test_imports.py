"""A package imports only what stands to its left; importing recgym stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = (
    "data",
    "models",
    "evaluators",
    "envs",
    "wrappers",
    "testing",
    "agents",
    "benchmark",
    "cli",
)
ROOT = Path(__file__).parents[1] / "recgym"


def imported_layers(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the package"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {p[1] for p in parts if p[0] == "recgym" and len(p) > 1}
    return found & set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_import_only_to_the_left(layer):
    files = list((ROOT / layer).rglob("*.py"))
    assert files, f"{layer} has no files"
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    for path in files:
        wrong = imported_layers(path) - allowed
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_every_module_belongs_to_a_layer():
    loose = {p.name for p in ROOT.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert not loose
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert folders == set(LAYERS)


def test_import_is_light():
    """No torch, pandas or matplotlib until something needs them."""
    code = (
        "import sys, recgym; "
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'stable_baselines3', "
        "'pygame') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_foreign_files_warn(tmp_path):
    from recgym import _warn_of_foreign_files

    (tmp_path / "types.py").touch()
    with pytest.warns(UserWarning, match="scope-rl"):
        _warn_of_foreign_files(tmp_path)
