"""What passes to uv, and from uv to who builds: one list of a project's settings, and one of the shell's variables.

A project says what is installed. What runs on this machine, what is written to it, and whom it trusts, its operator says: in
variables, in ``~/.config/uv/uv.toml`` and in ``/etc``, which count as they do for uv. uv hands all of its own variables to the
programs that build, so these get no more than uv does; the logins of indexes go to uv in a file (:mod:`nectar.manage.uv.configuration`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

_WHAT_IS_INSTALLED = frozenset(
    {
        # where from
        *("index", "index-url", "extra-index-url", "no-index", "find-links", "index-strategy", "no-sources", "no-sources-package"),
        # which versions
        *("resolution", "prerelease", "prerelease-package", "fork-strategy", "exclude-newer", "exclude-newer-package"),
        *("dependency-metadata", "torch-backend", "required-version"),
        # built how
        *("no-build", "no-build-package", "no-binary", "no-binary-package", "no-build-isolation", "no-build-isolation-package"),
        *(
            "config-settings",
            "config-settings-package",
            "extra-build-dependencies",
            "extra-build-variables",
            "require-build-hashes",
        ),
        *("compile-bytecode",),
    },
)
PROJECTS_OWN = frozenset(
    {
        *("workspace", "sources", "dev-dependencies", "default-groups", "dependency-groups", "package", "managed", "conflicts"),
        *("build-backend", "cache-keys", "environments", "required-environments", "minimum-libc-version"),
        *("override-dependencies", "exclude-dependencies", "constraint-dependencies", "build-constraint-dependencies"),
    },
)
"""What uv reads in a ``pyproject.toml`` itself, whatever file of settings it is given."""
_WITHOUT_EFFECT = frozenset({"pip", "publish-url", "trusted-publishing", "check-url", "add-bounds", "audit", "link-mode"})
"""What other commands of uv go by; and how it installs, which is settled here."""

# Patterns here are texts, which are compiled where they are first used: what is known already is started without.
_SELECTING = (
    r"VIRTUAL_ENV.*|PYTHON.*|__PYVENV_LAUNCHER__|_?CONDA_.*|PYENV_.*|PDM_.*|POETRY_.*|PIPENV_.*|GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|COMMON_DIR|NAMESPACE|PREFIX)"
    r"|UV|UV_PYTHON(?!_DOWNLOADS|_INSTALL_DIR|_INSTALL_MIRROR|_CACHE_DIR).*|UV_PROJECT.*|UV_NO_PROJECT|UV_WORKING_DIR.*|UV_ISOLATED"
    r"|UV_ENV_FILE|UV_NO_ENV_FILE|UV_RUN_.*|UV_(NO_)?(FROZEN|LOCKED|SYNC|EDITABLE|DEV|GROUP|DEFAULT_GROUPS)|UV_ONLY_.*|UV_.*EXTRAS?"
    r"|UV_NO_INSTALL_.*|UV_NO_VERIFY_HASHES|UV_VENV_.*|UV_SYSTEM_PYTHON|UV_BREAK_SYSTEM_PACKAGES|UV_TARGET|UV_PREFIX"
    r"|UV_(NO_)?MANAGED_PYTHON|UV_NO_INSTALLER_METADATA|UV_TOOL_.*|UV_PUBLISH_.*|UV_INIT_.*|UV_INTERNAL__.*|UV_NO_PROGRESS|UV_SHOW_.*"
    r"|UV_OUTPUT_.*|UV_LOG_.*|UV_REQUIRE_HASHES|RUST_LOG|FORCE_COLOR|CLICOLOR_FORCE"
)
"""What selects a project, an environment or a Python, for which the handler's own project is asked, or changes uv's words."""
_IN_A_FILE = frozenset({"UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_NO_SYSTEM_CONFIG"})
"""What decides which files of settings count; uv is given one that is made of them."""
_PROXIES = r"(?i:(HTTP|HTTPS|FTP|ALL|NO)_PROXY)"
_PLACES = (
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z_]+|TZ|TMPDIR|TMP|TEMP|XDG_\w+|NETRC"
    r"|SSL_(CERT_FILE|CERT_DIR|CLIENT_CERT)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS"
    r"|GIT_(SSH|SSH_COMMAND|SSH_VARIANT|SSL_\w+|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|LFS_\w+|TERMINAL_PROMPT|EXEC_PATH)"
)
_SAID = r"LANG|LANGUAGE|LC_[A-Z_]+|TZ"
_COMPILING = (
    r"CC|CXX|CPP|CUDACXX|FC|F77|F90|LD|AR|AS|NM|RANLIB|STRIP|MAKE|LDSHARED|ARCHFLAGS|CPATH|LIBRARY_PATH|LD_\w+|DYLD_\w+|\w*FLAGS"
    r"|\w+_(DIR|ROOT|HOME|PREFIX|INCLUDE_PATH|LIBRARY_PATH)|(PKG_CONFIG|CUDA|NVCC|TORCH|ROCM|HIP|CMAKE|MESON|NINJA|SKBUILD|RUST|CARGO|GO"
    r"|SETUPTOOLS|DISTUTILS|HATCH|PBR|CIBW|MACOSX|BLAS|LAPACK|OPENBLAS|NPY|CCACHE|SCCACHE|FORCE|USE)(_?[A-Z0-9]\w*)?|RUSTC\w*|MAX_JOBS"
    r"|SDKROOT|SOURCE_DATE_EPOCH"
)
_TOOLS = r"(UV|PIP)_\w+"
_PRIVATE = r"(?i:TOKEN|SECRET|PASSW|PASSPHRASE|_KEY(_|$)|USERNAME|(^|_)AUTH(_|$)|CREDENTIALS$)"
_LOGIN = r"(?<=://)[^/?#\s\"]*@"
_NAME = r"\b[A-Z][A-Z0-9_]{3,}\b"
_NO_KEY = "publickey"


def split(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A project's settings: those that pass, and the names of those that do not, and that uv would have gone by."""
    passing = {name: value for name, value in table.items() if name in _WHAT_IS_INSTALLED}
    return passing, sorted(set(table) - _WHAT_IS_INSTALLED - PROJECTS_OWN - _WITHOUT_EFFECT)


def select_of_script(table: dict[str, Any]) -> dict[str, Any]:
    """What a single file says of itself, with those of its settings that pass."""
    tools = table.get("tool")
    if not isinstance(tools, dict) or not isinstance(tools.get("uv"), dict):
        return table
    kept = {name: value for name, value in tools["uv"].items() if name in _WHAT_IS_INSTALLED | PROJECTS_OWN}
    return {**table, "tool": {**tools, "uv": kept}}


def select_variables(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """The variables of a shell that uv gets, and those who build get from it.

    :param named: those that a person named; they pass as they are.
    """
    found = {
        name: value if re.fullmatch(_PROXIES, name) else remove_logins(value) for name, value in environ.items() if _passes(name)
    }
    return {**found, **{name: environ[name] for name in named if name in environ}}


def select_for_builds(variables: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """What of the variables that uv gets a build behind a wall gets: those that compilers go by, the language and the time zone.

    :param named: those that a person named.
    """
    kept = {name: value for name, value in variables.items() if re.fullmatch(_SAID, name) or re.fullmatch(_COMPILING, name)}
    passed = {name: value for name, value in kept.items() if not re.fullmatch(_TOOLS, name)}
    return {**passed, **{name: variables[name] for name in named if name in variables}}


def hide_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """The same with the names of proxies in small letters, in which uv and git know them, too.

    In an address that a project, or what it depends on, names, uv puts a variable's value in place of ``${NAME}``, in capitals alone: whoever
    is asked there would have the login of a proxy.
    """
    proxies = {name: value for name, value in variables.items() if re.fullmatch(_PROXIES, name)}
    others = {name: value for name, value in variables.items() if name not in proxies}
    return {**others, **{name.lower(): proxies[name] for name in sorted(proxies, reverse=True)}}


def selects(name: str) -> bool:
    """Whether a variable selects a project, an environment or a Python, or the file of settings; such a one passes in no case."""
    return name in _IN_A_FILE or re.fullmatch(_SELECTING, name) is not None


def _passes(name: str) -> bool:
    if selects(name):
        return False
    if re.fullmatch(_PROXIES, name) or re.fullmatch(_PLACES, name):
        return True
    return not re.search(_PRIVATE, name) and any(re.fullmatch(kind, name) for kind in (_COMPILING, _TOOLS))


def remove_logins(text: str) -> str:
    """A text without users and passwords in its URLs."""
    return re.sub(_LOGIN, "", text)


def explain_withheld(words: str, environ: Mapping[str, str], handed: Container[str]) -> str | None:
    """A hint where what was said names a variable that the shell has and a build did not get."""
    named = [*re.findall(_NAME, words), *(["SSH_AUTH_SOCK"] if _NO_KEY in words else [])]
    found = next((name for name in named if name in environ and name not in handed and not selects(name)), None)
    return found and f"This shell has {found}, and a build does not get it: --build-env {found} passes it on."
