"""The layers of the package, read from its syntax trees: who may import whom, and what may be imported at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import hashigo

ROOT = Path(hashigo.__file__).parent

LAYERS: dict[str, int] = {
    "errors": 0,
    "recipe": 0,
    "files": 1,
    "color": 1,
    "randomness": 1,
    "_decode": 1,
    "_encode": 1,
    "image": 1,
    "bins": 2,
    "damage": 2,
    "hints": 2,
    "tasks": 2,
    "metrics": 2,
    "losses": 2,
    "networks": 2,
    "data": 3,
    "engines": 3,
    "loader": 4,
    "models": 4,
    "export": 4,
    "apply": 4,
    "jobs": 4,
    "training": 5,
    "evaluation": 5,
    "latents": 5,
    "clustering": 5,
    "words": 6,
    "_drawing": 6,
    "studies": 6,
    "plots": 6,
    "report": 6,
    "demo": 6,
    "evaluation_page": 6,
    "__init__": 7,
    "__main__": 7,
    "cli": 7,
    "service": 7,
    "cluster": 7,
}
"""The layer of every file; a folder stands for all files in it. A file imports from its own layer and those below."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "networks": {"errors"},
    "losses": {"bins", "color", "errors"},
    "bins": {"color"},
    "damage": {"color", "randomness"},
    "hints": {"color", "errors", "randomness"},
    "engines": {"errors"},
    "color": set(),
    "randomness": set(),
    "metrics": {"color"},
    "tasks": {"bins", "color", "damage", "errors", "hints", "losses", "randomness"},
}
"""Files that must stay ignorant of the rest, with all that they may import from the package."""

NO_HEAVY = {name for name, layer in LAYERS.items() if layer <= 1} | {
    "bins", "damage", "hints", "tasks", "metrics", "losses", "engines", "models", "export", "apply", "jobs", "data", "evaluation", "__init__",
}  # fmt: skip
"""Files that can be imported without torch and cost little: heavy packages only within functions."""

HEAVY = {
    "torch", "lightning", "openvino", "onnx", "onnxruntime", "onnxscript", "matplotlib", "sklearn", "skimage", "scipy",
    "huggingface_hub", "safetensors", "tensorboard", "jsonargparse", "yaml",
}  # fmt: skip


class Import(NamedTuple):
    """One import: of which module, in which line, and whether it runs when the file is imported."""

    module: str
    line: int
    at_once: bool


def name_of(path: Path) -> str:
    """The dotted name within the package: "color", "data.mnist", "data.__init__"."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def part_of(name: str) -> str:
    """The entry of `LAYERS` for a file: its own name, or its folder's."""
    return name.split(".")[0]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def walk(node: ast.AST, at_once: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        now = at_once and not is_type_checking(child) and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield child, now
        yield from walk(child, now)


def imports(name: str) -> list[Import]:
    """Every import of a file, relative ones resolved; `from package import module` counts as of that module."""
    found = []
    package = ["hashigo", *name.split(".")[:-1]]
    for node, at_once in walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}".removeprefix("hashigo.")
                is_module = source.split(".")[0] == "hashigo" and (inner in FILES or f"{inner}.__init__" in FILES)
                found.append(Import(f"hashigo.{inner}" if is_module else source, node.lineno, at_once))
    return found


def inner_imports(name: str) -> Iterator[tuple[str, Import]]:
    """(imported file, import) for imports from the package itself; the package's root is "__init__"."""
    for one in imports(name):
        top, _, inner = one.module.partition(".")
        if top == "hashigo":
            yield (inner if inner in FILES else f"{inner}.__init__" if inner else "__init__"), one


def test_every_file_has_a_layer() -> None:
    without = sorted({str(FILES[name].relative_to(ROOT)) for name in FILES if part_of(name) not in LAYERS})
    assert not without, f"give these files a layer in LAYERS, and tell of them in the design: {', '.join(without)}"
    assert len(FILES) > 20


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down(name: str) -> None:
    layer = LAYERS[part_of(name)]
    for imported, one in inner_imports(name):
        assert imported in FILES, f"{name}, line {one.line}: there is no {one.module}"
        assert LAYERS[part_of(imported)] <= layer, (
            f"{name} (layer {layer}), line {one.line}: imports {imported} of layer {LAYERS[part_of(imported)]}"
        )


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_nothing_imports_the_root(name: str) -> None:
    lines = [one.line for imported, one in inner_imports(name) if imported == "__init__"]
    assert not lines, f"{name} imports the package's root in lines {lines}; import the module that has the name"


def test_no_circles() -> None:
    graph = {name: {imported for imported, _ in inner_imports(name)} - {"__init__"} for name in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' → '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for imported in sorted(graph[name] - {name}):
                visit(imported, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_the_ignorant_stay_ignorant(part: str) -> None:
    members = [name for name in FILES if part_of(name) == part]
    assert members
    for name in members:
        known = {part_of(imported) for imported, _ in inner_imports(name)} - {part}
        assert known <= MAY_IMPORT[part], f"{name} imports {', '.join(sorted(known - MAY_IMPORT[part]))}"


def test_the_command_line_and_the_service_do_not_know_each_other() -> None:
    for name in FILES:
        strangers = {"cli", "service", "cluster"} - {part_of(name)}
        if part_of(name) in ("cli", "service", "cluster"):
            assert not strangers & {part_of(imported) for imported, _ in inner_imports(name)}, name


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in NO_HEAVY])
def test_nothing_heavy_is_imported_at_once(name: str) -> None:
    for one in imports(name):
        package = one.module.split(".")[0]
        assert not (one.at_once and package in HEAVY), (
            f"{name}, line {one.line}: imports {package} at once; do it within the function that needs it"
        )
    torch_files = [
        imported for imported, one in inner_imports(name) if one.at_once and part_of(imported) not in NO_HEAVY
    ]
    assert not torch_files, f"{name} imports {', '.join(torch_files)} at once, which may import torch"


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) not in ("cli", "__main__")])
def test_only_the_command_line_prints(name: str) -> None:
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls, f"{name} prints in lines {calls}"


@pytest.mark.parametrize("name", FILES)
def test_no_assert_on_what_users_give(name: str) -> None:
    lines = [
        n.lineno for n in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))) if isinstance(n, ast.Assert)
    ]
    assert not lines, f"{name} asserts in lines {lines}: raise an error of hashigo.errors, which says what to do"


# --- the checks themselves can fail ------------------------------------------------------------------------


def check_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    (tmp_path / "file.py").write_text(source, encoding="utf-8")
    monkeypatch.setitem(FILES, name, tmp_path / "file.py")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("color", "def f():\n    from hashigo.models import load_network\n"),
        ("data.mnist", "from .. import apply\n"),
        ("metrics", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hashigo.jobs\n"),
    ],
)
def test_an_upward_import_is_found(name: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_source(tmp_path, monkeypatch, name, source)
    with pytest.raises(AssertionError, match="layer 4"):
        test_imports_go_down(name)


def test_torch_at_once_a_circle_and_the_root_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "try:\n    import torch.nn\nexcept ImportError:\n    pass\nfrom hashigo import image, load\n"
    check_source(tmp_path, monkeypatch, "_encode", source)
    with pytest.raises(AssertionError, match="imports torch at once"):
        test_nothing_heavy_is_imported_at_once("_encode")
    with pytest.raises(AssertionError, match=r"_encode → image → _encode|image → _encode → image"):
        test_no_circles()
    with pytest.raises(AssertionError, match="root"):
        test_nothing_imports_the_root("_encode")


def test_a_file_without_layer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "novelty", ROOT / "novelty.py")
    with pytest.raises(AssertionError, match=r"novelty\.py"):
        test_every_file_has_a_layer()
