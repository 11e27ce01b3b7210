"""What a project says of uv, and what of the shell gets to those who build: one list each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError, UsageError
from nectar.manage.environment.build_directory import open_workshop
from nectar.manage.source.source import open_source
from nectar.manage.uv import configuration, interpreters, passing
from nectar.manage.uv.uv import find_uv
from tests.environments.workbench import STRANGER, Bench, as_root, run, write

OPERATORS = frozenset(
    {
        *("offline", "no-cache", "cache-dir", "preview", "preview-features", "python-preference", "python-downloads"),
        *("concurrent-downloads", "concurrent-builds", "concurrent-installs", "keyring-provider", "allow-insecure-host"),
        *("native-tls", "system-certs", "http-proxy", "https-proxy", "no-proxy", "upgrade", "upgrade-package", "reinstall"),
        *("reinstall-package", "python-install-mirror", "pypy-install-mirror", "graalpy-install-mirror", "pyodide-install-mirror"),
        *("python-downloads-json-url",),
    },
)

BACKEND = """
import base64, hashlib, json, os, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    files = {
        "demo/__init__.py": "def answer(comp):\\n    return 1\\n",
        "demo/variables.json": json.dumps(dict(os.environ)),
        "demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n",
        "demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "demo-1.0.dist-info/entry_points.txt": "[nectar.handlers]\\ndemo = demo:answer\\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text.encode())}\\n"
    files["demo-1.0.dist-info/RECORD"] = record + "demo-1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(directory, "demo-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "demo-1.0-py3-none-any.whl"
"""
BUILT_BY_IT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.mark.uv
def test_each_setting_that_this_uv_has_is_in_one_of_the_lists(tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", "no-such-setting = 1\n")
    ended = subprocess.run(
        [find_uv(), "--config-file", tmp_path / "uv.toml", "pip", "list"], capture_output=True, text=True, check=False
    )
    settings = set(re.findall(r"`([a-z-]+)`", ended.stderr.partition("expected one of")[2]))
    assert "python-downloads" in settings
    kept, dropped = passing.split(dict.fromkeys(settings, 1))
    assert set(dropped) == settings & OPERATORS
    assert not set(kept) & OPERATORS


def test_a_setting_that_nobody_knows_does_not_pass() -> None:
    assert passing.split({"runs-this": "x", "index-url": "y"}) == ({"index-url": "y"}, ["runs-this"])


@pytest.mark.parametrize(
    ("environ", "handed"),
    [
        ({"GITHUB_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x", "SSH_AUTH_SOCK": "/s", "EDITOR": "vi"}, {}),
        ({"UV_INDEX_URL": "https://u:p@h/simple"}, {"UV_INDEX_URL": "https://h/simple"}),
        ({"UV_INDEX": "a=https://TOKEN@h/x b=https://u:p@i/"}, {"UV_INDEX": "a=https://h/x b=https://i/"}),
        ({"PIP_EXTRA_INDEX_URL": "https://u:p@h/simple"}, {"PIP_EXTRA_INDEX_URL": "https://h/simple"}),
        ({"UV_INDEX_COMPANY_USERNAME": "u", "UV_INDEX_COMPANY_PASSWORD": "p", "UV_PUBLISH_TOKEN": "t"}, {}),
        ({"UV_AUTH_TOKEN": "t", "UV_API_KEY": "t", "UV_GITHUB_TOKEN": "t", "CARGO_REGISTRY_TOKEN": "t"}, {}),
        ({"https_proxy": "http://u:p@proxy"}, {"https_proxy": "http://u:p@proxy"}),
        ({"UV_CONFIG_FILE": "/x", "UV_NO_CONFIG": "1", "UV_ENV_FILE": "/x", "UV_PYTHON": "3", "PYTHONPATH": "/x"}, {}),
        ({"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": "AUTHORIZATION: x", "GIT_ASKPASS": "/x", "GIT_DIR": "/x"}, {}),
        ({"RUST_LOG": "debug", "FORCE_COLOR": "1", "NPM_TOKEN": "x", "SETUPTOOLS_SECRET": "x", "MY_HOME": "/h"}, {"MY_HOME": "/h"}),
        *(
            ({name: "/x"}, {name: "/x"})
            for name in (
                *("HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NETRC", "XDG_CACHE_HOME"),
                *(
                    "CC",
                    "CFLAGS",
                    "LDFLAGS",
                    "PKG_CONFIG_PATH",
                    "CUDA_HOME",
                    "MAKEFLAGS",
                    "LD_LIBRARY_PATH",
                    "RUSTFLAGS",
                    "CARGO_HOME",
                ),
                *("SETUPTOOLS_SCM_PRETEND_VERSION", "CMAKE_ARGS", "HDF5_DIR", "MAX_JOBS", "SOURCE_DATE_EPOCH", "GIT_SSH_COMMAND"),
                *("UV_CACHE_DIR", "UV_EXCLUDE_NEWER", "UV_PYTHON_INSTALL_DIR", "UV_KEYRING_PROVIDER", "UV_INSECURE_HOST"),
            )
        ),
    ],
)
def test_what_builds_get_of_the_shell(environ: dict[str, str], handed: dict[str, str]) -> None:
    assert passing.select_variables(environ) == handed


def test_a_variable_that_is_named_passes_as_it_is() -> None:
    assert passing.select_variables({"GITHUB_TOKEN": "x", "OTHER": "y"}, ["GITHUB_TOKEN", "ABSENT"]) == {"GITHUB_TOKEN": "x"}


@pytest.mark.parametrize("name", ["", "A=B", "UV_PYTHON", "PYTHONPATH", "UV_CONFIG_FILE", "VIRTUAL_ENV"])
def test_a_variable_that_no_build_can_have(bench: Bench, name: str) -> None:
    with pytest.raises(UsageError):
        bench.open(bench.project(), build_env=(name,))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("KeyError: 'MY_TOKEN'", "--build-env MY_TOKEN"),
        ("git@github.com: Permission denied (publickey).", "--build-env SSH_AUTH_SOCK"),
        ("KeyError: 'NOT_THERE'", None),
        ("error: UV_PYTHON is wrong", None),
    ],
)
def test_a_hint_where_a_build_wants_what_it_does_not_get(words: str, hint: str | None) -> None:
    found = passing.explain_withheld(words, {"MY_TOKEN": "x", "SSH_AUTH_SOCK": "/s", "UV_PYTHON": "3"}, {})
    assert (hint is None and found is None) or (hint is not None and hint in (found or ""))


def composed(environ: dict[str, str], own: Path | None = None) -> dict[str, object]:
    return tomllib.loads(configuration.compose({"XDG_CONFIG_DIRS": "/nowhere", "HOME": "/nowhere"} | environ, own).content.decode())


def test_a_project_s_settings_come_before_its_operator_s(tmp_path: Path) -> None:
    write(
        tmp_path / "config" / "uv" / "uv.toml",
        'cache-dir = "/c"\nprerelease = "allow"\nresolution = "lowest"\nno-build-package = ["a"]\n'
        '[[index]]\nname = "same"\nurl = "https://theirs"\n[[index]]\nurl = "https://u:p@default"\ndefault = true\n',
    )
    own = write(
        tmp_path / "project" / "uv.toml",
        'cache-dir = "../evil"\nprerelease = "disallow"\nno-build-package = ["b"]\n'
        '[[index]]\nname = "same"\nurl = "wheels"\n[[index]]\nurl = "https://first"\ndefault = true\n',
    )
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert composed(environ, own) == {
        "cache-dir": "/c",
        "prerelease": "disallow",
        "resolution": "lowest",
        "no-build-package": ["b", "a"],
        "index": [{"name": "same", "url": str(own.parent / "wheels")}, {"url": "https://first", "default": True}],
    }
    assert configuration.compose(environ, own).dropped == ["cache-dir"]
    assert composed({**environ, "UV_NO_CONFIG": "1"}, own) == {}
    given = write(tmp_path / "given.toml", "offline = true\n")
    assert composed({**environ, "UV_CONFIG_FILE": str(given)}, own) == {"offline": True}


@pytest.mark.parametrize(
    ("environ", "urls"),
    [
        ({"UV_INDEX_URL": "https://u:p@h/simple"}, ["https://u:p@h/simple"]),
        ({"UV_INDEX": "a=https://h/a https://TOKEN@i/b"}, ["https://TOKEN@i/b"]),
        ({"UV_FIND_LINKS": "https://h/a,https://u:p@i/b"}, ["https://u:p@i/b"]),
        ({"UV_INDEX": "a=https://h/a", "UV_INDEX_A_PASSWORD": "p/@"}, ["https://:p%2F%40@h/a"]),
        ({"UV_INDEX_MY_COMPANY_USERNAME": "u", "UV_INDEX_MY_COMPANY_PASSWORD": "p"}, ["https://u:p@company/simple"]),
        ({"UV_INDEX_OTHER_PASSWORD": "p", "UV_INDEX_URL": "https://h/simple"}, []),
    ],
)
def test_logins_go_into_the_file_of_settings(tmp_path: Path, environ: dict[str, str], urls: list[str]) -> None:
    own = write(tmp_path / "uv.toml", '[[index]]\nname = "my-company"\nurl = "https://company/simple"\n')
    indexes = composed(environ, own)["index"]
    assert isinstance(indexes, list)
    assert [index["url"] for index in indexes[1:]] == urls
    assert all(index["explicit"] for index in indexes[1:])


HOSTILE = 'cache-dir = "{out}/cache"\npython-downloads = "automatic"\npython-downloads-json-url = "{out}/list.json"\nkeyring-provider = "subprocess"\n'


@pytest.mark.uv
@pytest.mark.parametrize(
    "place",
    [
        *("pyproject.toml", "workspace", "locked script"),
        *(pytest.param(place, marks=pytest.mark.once) for place in ("uv.toml", "above", "script")),  # of these uv reads nothing
    ],
)
def test_settings_that_are_the_operator_s_do_not_count_in_a_project(bench: Bench, place: str) -> None:
    out = bench.directory / "out"
    text = HOSTILE.format(out=out)
    project = bench.directory / "space" / "demo"
    if "script" in place:
        said = ['requires-python = ">=3.11"', "dependencies = []", "[tool.uv]", *text.splitlines()]
        inside = "".join(f"# {line}\n" for line in ["/// script", *said, "///"])
        project = write(bench.directory / "mine.py", inside + "from nectar import handler\n@handler\ndef answer(comp): return 1\n")
        if place == "locked script":
            write(project.with_name("mine.py.lock"), 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n')
    else:
        bench.project(at="space/demo", more=f"[tool.uv]\n{text}" if place == "pyproject.toml" else "")
        if place == "uv.toml":
            write(project / "uv.toml", text)
        elif place == "above":
            write(project.parent / "uv.toml", text)
        elif place == "workspace":
            root = write(project.parent / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["demo"]\n')
            bench.lock(project)
            root.write_text(f"[tool.uv]\n{text}{root.read_text()}")
    assert bench.provide(project).marker.entries
    assert not out.exists()
    said = [line for line in bench.said if line.startswith("Not used:")]
    assert len(said) == 1
    assert "cache-dir, keyring-provider, python-downloads, python-downloads-json-url" in said[0]


@pytest.mark.uv
def test_no_python_is_fetched_because_a_project_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(bench.directory / "pythons"))
    project = bench.project(more='[tool.uv]\npython-downloads = "automatic"\npython-install-mirror = "file:///nowhere"\n')
    with pytest.raises(EnvironmentFailedError, match="No Python that is here fits"):
        bench.provide(project)


@pytest.mark.uv
def test_what_a_build_backend_sees(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GITHUB_TOKEN": "secret",
        "UV_EXTRA_INDEX_URL": "https://user:secret@127.0.0.1:9/simple",
        "UV_INDEX_STRATEGY": "first-index",
        "CFLAGS": "-O1",
        "NAMED_ONE": "given",
        "UV_CACHE_DIR": str(bench.directory / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    project = bench.project(build=BUILT_BY_IT)
    write(project / "backend.py", BACKEND)
    before = os.umask(0o002)
    try:
        found = bench.provide(project, build_env=("NAMED_ONE", "ABSENT"))
    finally:
        os.umask(before)
    seen = json.loads(
        run(found, "import demo, pathlib; print((pathlib.Path(demo.__file__).parent / 'variables.json').read_text())")
    )
    assert "secret" not in json.dumps(seen)
    assert seen["UV_EXTRA_INDEX_URL"] == "https://127.0.0.1:9/simple"
    assert (seen["CFLAGS"], seen["NAMED_ONE"]) == ("-O1", "given")
    assert [line for line in bench.said if "ABSENT" in line] == ["This shell has no ABSENT, which builds were to get."]
    assert bench.open(project, build_env=("NAMED_ONE",)).to_mapping()["build_env"] == ["NAMED_ONE"]
    cached = [path for path in (bench.directory / "cache").rglob("*") if path.is_file() and "demo" in path.name]
    assert not [path for path in cached if path.stat().st_mode & 0o077]


@pytest.mark.parametrize(
    "text",
    [
        *("--help", "--cache-dir=/tmp/x", "-v", "./evil/python", "evil/python", "/tmp/python", "file:///tmp/python", "~/python"),
        *("evil", "python-evil", "my-venv", "3.12 --help", "3.12;x", "..", ".", "3.12\0", "cpython-3.12-evil", "https://x/y"),
    ],
)
def test_a_python_version_file_that_asks_for_no_python(bench: Bench, text: str) -> None:
    project = bench.project()
    write(project / ".python-version", f"{text}\n")
    with pytest.raises(EnvironmentFailedError, match="asks for no Python") as refused:
        bench.find(project)
    assert refused.value.where == str(project / ".python-version")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "3",
            "3.12",
            "3.12.1",
            "312",
            "3.13t",
            "3.14rc1",
            "3.13+freethreaded",
            "python3.12",
            "python@3.12",
            "cp312",
            "cpython@3.12",
        ),
        *(">=3.11", ">=3.11,<3.13", "~=3.11", "pypy", "pypy@3.11", "any", "cpython-3.12.1-linux-x86_64-gnu", "cpython-3.12"),
    ],
)
def test_what_asks_for_a_python(text: str) -> None:
    assert interpreters.Request(None, text, "/x/.python-version").wanted == text


@pytest.mark.parametrize("text", ["--python", "--help", "-", "a\nb", "\0"])
def test_what_an_operator_cannot_ask_for(bench: Bench, text: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="asks for no Python"):
        bench.find(bench.project(), python=text)


@pytest.mark.parametrize(
    "text", ["--help", "^3.11", "3.11", ">=3.11,", ">=3.11\\n--help", ">=3.11 <4", "~3.11", "python", ">= x; y", " "]
)
@pytest.mark.parametrize("kind", ["project", "file"])
def test_a_requires_python_that_is_none(bench: Bench, text: str, kind: str) -> None:
    if kind == "project":
        source = bench.project(fields=f'requires-python = "{text}"')
    else:
        source = bench.file("mine.py", f'# /// script\n# requires-python = "{text}"\n# ///\n')
    with pytest.raises(EnvironmentFailedError, match="no version specifier") as refused:
        bench.find(source)
    assert refused.value.where == str(source / "pyproject.toml" if kind == "project" else source)


@pytest.mark.uv
def test_uv_finds_no_settings_above_the_data_dir(bench: Bench) -> None:
    for place in (bench.directory, bench.home.data_dir):
        write(place / "uv.toml", f'cache-dir = "{bench.directory}/out"\nno-such-setting = 1\n')
        write(place / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["**"]\n')
    file = write(bench.directory / "deep" / "down" / "mine.py", "# /// script\n# [tool.uv]\n# prerelease = 'allow'\n# ///\n")
    assert bench.provide(file).marker.entries
    assert not (bench.directory / "out").exists()


@pytest.mark.uv
@pytest.mark.parametrize(
    ("variables", "words"),
    [({"UV_CACHE_DIR": "{}/file/cache"}, "Not a directory"), ({"UV_CONFIG_FILE": "{}/absent.toml"}, "absent.toml cannot be read")],
)
def test_uv_s_own_words_where_it_cannot_look_for_pythons(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    bench.file("file", "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(bench.directory))
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(bench.project())
    assert words in f"{failed.value.message} {failed.value.detail}"
    assert "No Python" not in failed.value.message


def test_entries_of_path_that_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    write(tmp_path / "file", "")
    (tmp_path / "closed" / "shims").mkdir(parents=True)
    (tmp_path / "closed" / "versions").mkdir()
    (tmp_path / "broken" / "shims").mkdir(parents=True)
    (tmp_path / "broken" / "versions" / "3.12.1").mkdir(parents=True)
    entries = [
        "",
        ".",
        "bin",
        "../x",
        f"{tmp_path}/loop/shims",
        f"{tmp_path}/file/shims",
        f"{tmp_path}/broken/shims",
        "/" + "x" * 300,
        "/bin",
    ]
    found = interpreters.make_search_path({"PATH": os.pathsep.join(entries)}).split(os.pathsep)
    assert found == [f"{tmp_path}/loop/shims", f"{tmp_path}/file/shims", "/" + "x" * 300, "/bin"]


@as_root
def test_an_entry_of_path_that_cannot_be_entered(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "shims").mkdir(parents=True)
    (closed / "versions").mkdir()
    closed.chmod(0o700)
    child = os.fork()
    if child == 0:
        os.setuid(STRANGER)
        os._exit(interpreters.make_search_path({"PATH": f"{closed}/shims:/bin"}) != f"{closed}/shims:/bin")
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        (None, {"UV_INDEX": "x"}, 0),
        ({}, {"HOME": "/x"}, 0),
        ({"UV_INDEX": "https://h/"}, {"UV_INDEX": "https://other:login@h/"}, 0),
        ({"UV_INDEX": "https://h/"}, {}, 1),
        ({}, {"UV_CONFIG_FILE": "/x", "UV_EXCLUDE_NEWER": "2020"}, 2),
    ],
)
def test_what_differs_between_two_shells(before: dict[str, str] | None, now: dict[str, str], lines: int) -> None:
    assert len(configuration.compare(before, now)) == lines


def test_what_is_kept_of_a_shell_is_no_secret() -> None:
    kept = configuration.select_deciding(
        {"UV_INDEX_URL": "https://u:secret@h/s?token=secret", "UV_INDEX_A_PASSWORD": "secret", "HOME": "/h"}
    )
    assert kept == {"UV_INDEX_URL": "https://h/s"}


def test_where_uv_runs_no_builds_an_address_gets_no_variable_that_only_they_are_to_get(bench: Bench) -> None:
    """What depends on ``x @ https://example/${NAME}/x.whl`` would be told it, capitals alone."""
    shell = {"TOKEN": "t", "HTTPS_PROXY": "http://u:p@here", "https_proxy": "http://there", "PATH": os.environ["PATH"]}
    bench.home.create()
    for walled, no_build in ((True, False), (False, True), (False, False)):
        source = open_source(bench.file("h.py", ""), build_env=["TOKEN"], no_build=no_build)
        with open_workshop(bench.home, source, shell, print, walled=walled) as shop:
            told = {name: shop.uv.variables.get(name) for name in ("TOKEN", "HTTPS_PROXY", "https_proxy")}
        own = {**dict.fromkeys(told), "https_proxy": "http://u:p@here"}
        assert told == (own if walled or no_build else {name: shell[name] for name in told})
