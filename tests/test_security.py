"""What docs/security.md promises of the sources: nothing unpickles, evaluates or unpacks without restriction."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "resnet_cli"

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "code", "runpy"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
UNSAFE_METHODS = {
    *("extractall", "unpack_archive", "mktemp", "popen", "read_pickle", "read_hdf", "exec_module", "from_string"),
}
EXCEPTIONS = {("settings/discovery.py", "exec_module")}
"""The one place where code of others is run: plug-ins that a person names."""
MARKED_AS_SAFE = {"report/page.py"}
"""Where text goes into a page without being escaped: style, script and pictures, all of them ours."""


def calls(tree: ast.AST) -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    """What each call names: what stands before the last dot, what stands after it, and its keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            before, _, name = ast.unparse(node.func).rpartition(".")
            yield before, name, {word.arg or "**": word.value for word in node.keywords}


def is_constant(found: ast.expr | None, value: object) -> bool:
    return isinstance(found, ast.Constant) and found.value is value


def faults(name: str, source: str) -> list[str]:
    """What a module of the package must not do."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"imports {module}" for module in modules if module.partition(".")[0] in UNSAFE_MODULES]
    for before, called, words in calls(tree):
        if not before and called in BUILT_IN:
            found.append(f"calls {called}")
        unsafe = called in UNSAFE_METHODS or (before, called) == ("os", "system")
        if before and unsafe and (name, called) not in EXCEPTIONS:
            found.append(f"calls {before}.{called}")
        if called == "load" and before == "torch" and not is_constant(words.get("weights_only"), True):
            found.append("calls torch.load without weights_only=True")
        if "allow_pickle" in words or "trust_remote_code" in words:
            found.append(f"lets {called} run what it reads")
        if "shell" in words and not is_constant(words["shell"], False):
            found.append(f"calls {called} with a shell")
        if is_constant(words.get("verify"), False):
            found.append(f"lets {called} trust any certificate")
        if called == "Environment" and not is_constant(words.get("autoescape"), True):
            found.append("makes a template without autoescape")
        if called == "Markup" and name not in MARKED_AS_SAFE:
            found.append("marks text as safe HTML")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_runs_or_unpacks_what_it_reads(path: Path) -> None:
    assert faults(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall()",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "requests.get(url, verify=False)",
        "Environment(loader=loader)",
        "Markup(text)",
        "spec.loader.exec_module(module)",
        "pd.read_pickle(path)",
    ],
)
def test_what_must_not_be_is_found(source: str) -> None:
    assert len(faults("somewhere.py", source)) == 1


def test_no_template_marks_text_as_safe() -> None:
    pages = [*(PACKAGE / "report" / "template").iterdir()]
    unescaped = [path.name for path in pages if "|safe" in path.read_text("utf-8").replace(" ", "")]
    assert unescaped == ["style.css"]  # which holds names of our fonts


def test_exceptions_are_needed() -> None:
    for name, called in EXCEPTIONS:
        assert called in {found for _, found, _ in calls(ast.parse((PACKAGE / name).read_text("utf-8")))}
    for name in MARKED_AS_SAFE:
        assert "Markup" in {found for _, found, _ in calls(ast.parse((PACKAGE / name).read_text("utf-8")))}
