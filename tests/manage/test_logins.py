"""What is a login in an address, and what anybody gets to see of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from nectar.errors import UsageError
from nectar.home import Home
from nectar.manage.daemon import given
from nectar.manage.daemon.given import Given
from nectar.manage.handlers import keeping, registry
from nectar.manage.source.source import open_source, recall, reopen
from nectar.manage.uv import logins, passing

SHELL = {"USER_X": "bob", "WORD": "s3cr3t", "BASE": "bob:s3cr3t@host"}


@pytest.mark.parametrize(
    ("requirement", "hidden", "login"),
    [
        ("x==1.0", "x==1.0", None),
        ("x[fast]>=1; python_version > '3'", "x[fast]>=1; python_version > '3'", None),
        ("x @ https://host/x.whl", "x @ https://host/x.whl", None),
        ("x @ https://bob:s3cr3t@host/x.whl", "x @ https://***@host/x.whl", "bob:s3cr3t"),
        ("x@https://bob:s3cr3t@host/x.whl", "x@https://***@host/x.whl", "bob:s3cr3t"),
        ("x[a,b] @ HTTPS://bob:s3cr3t@host:8443/x.whl#sha256=00 ; python_version > '3'",
         "x[a,b] @ HTTPS://***@host:8443/x.whl#sha256=00 ; python_version > '3'", "bob:s3cr3t"),
        ("x @ https://s3cr3t@host/x.whl", "x @ https://***@host/x.whl", "s3cr3t"),
        ("x @ https://:s3cr3t@host/x.whl", "x @ https://***@host/x.whl", ":s3cr3t"),
        ("x @ https://bob:s3c@r3t@host/x.whl", "x @ https://***@host/x.whl", "bob:s3c@r3t"),
        ("x @ https://bob%40corp:s3c%2Fr3t@host/x.whl", "x @ https://***@host/x.whl", "bob%40corp:s3c%2Fr3t"),
        ("x @ https://böb:пароль@host/x.whl", "x @ https://***@host/x.whl", "böb:пароль"),
        ("x @ https://bob:s3cr3t@[::1]:8080/x.whl", "x @ https://***@[::1]:8080/x.whl", "bob:s3cr3t"),
        ("x @ git+https://s3cr3t@host/r.git@v1", "x @ git+https://***@host/r.git@v1", "s3cr3t"),
        ("x @ git+https://host/r.git@v1", "x @ git+https://host/r.git@v1", None),
        ("x @ git+ssh://git@host/r.git@v1", "x @ git+ssh://git@host/r.git@v1", None),
        ("x @ https://${USER_X}:${WORD}@host/x.whl", "x @ https://***@host/x.whl", "bob:s3cr3t"),
        ("x @ https://${BASE}/x.whl", "x @ https://***@host/x.whl", "bob:s3cr3t"),
        ("x @ https://***@host/x.whl", "x @ https://***@host/x.whl", None),
        ("x @ file:///home/a@b/x.whl", "x @ file:///home/a@b/x.whl", None),
        ("x @ ../a@b/x.whl", "x @ ../a@b/x.whl", None),
    ],
)  # fmt: skip
def test_parted(requirement: str, hidden: str, login: str | None) -> None:
    assert logins.part(requirement, SHELL) == (hidden, login)
    assert logins.part(hidden, {}) == (hidden, None)
    assert "***" not in logins.remove(hidden)
    assert logins.has_one(hidden) == ("***" in hidden)


@pytest.mark.parametrize(
    "address",
    [
        "https://bob:s3/cr3t@host/x.whl",
        "https://bob:s3 cr3t@host/x.whl",
        "https://bob:s3?cr3t@host/x.whl",
        "https://bob:s3#cr3t@host/x.whl",
        "https://bob:s3\\cr3t@host/x.whl",
        "https://bob:s3\tcr3t@host/x.whl",
        "https:bob:s3cr3t@host/x.whl",
        "https:/bob:s3cr3t@host/x.whl",
        "https:////bob:s3cr3t@host/x.whl",
        "git+https:bob:s3cr3t@host/r.git",
        "git+ssh://git:s3cr3t@host/r.git",
        "https://host/x.whl?token=s3cr3t",
        "https://host/x.whl?a=b&X-Amz-Signature=s3cr3t",
        "https://host/x.whl?sig=s3cr3t",
        "https://host/x.whl#private_token=s3cr3t",
    ],
)
def test_an_address_whose_secret_cannot_be_parted_is_refused_without_it(address: str) -> None:
    for requirement in (f"x @ {address}", address):
        with pytest.raises(UsageError) as refused:
            open_source(None, requirement=requirement)
        said = f"{refused.value.message} {refused.value.where} {refused.value.hint}"
        assert "cr3t" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from https://bob:s3cr3t@host/x.whl.", "from https://***@host/x.whl."),
        ("https://a:b@one/ and git+https://c@two/r.git@v1", "https://***@one/ and git+https://***@two/r.git@v1"),
        ("'https://bob:it's@host/simple'", "'https://***@host/simple'"),
        ("`https://bob:s3c@r3t@host/simple`: no route", "`https://***@host/simple`: no route"),
        ("value 'https://user:p#ss@host/simple' for", "value 'https://***@host/simple' for"),
        ("value `https://user:p/w@host/simple` for", "value `https://***@host/simple` for"),
        ("value `https://user:p w@host` for", "value `https://***@ w@host` for"),
        ("https://host:8080/r.git@v1 https://[::1]:80/x@y", "https://host:8080/r.git@v1 https://[::1]:80/x@y"),
        ("http://127.0.0.1:80, https://host:1`", "http://127.0.0.1:80, https://host:1`"),
        ("nothing of the kind: a@b", "nothing of the kind: a@b"),
    ],
)
def test_redacted(text: str, shown: str) -> None:
    assert logins.redact(text) == shown


@pytest.mark.parametrize("login", ["bob:s3cr3t", "s3cr3t", "bob:s3c@r3t", "bob:it's", "böb:пароль", ":%40"])
def test_what_a_build_gets_of_an_index(login: str) -> None:
    urls = f"https://{login}@host/simple https://else/simple?a=b@c"
    assert (
        passing.select_variables({"UV_EXTRA_INDEX_URL": urls})["UV_EXTRA_INDEX_URL"]
        == "https://host/simple https://else/simple?a=b@c"
    )


def test_what_uv_and_git_get(tmp_path: Path) -> None:
    """A login for the one host, private, beside those that a person gave uv, and after what a person told git."""
    others = tmp_path / "others"
    others.mkdir()
    (others / "credentials.toml").write_text(
        '[[credential]]\nservice = "https://host:1/"\nusername = "old"\n[[credential]]\nservice = "https://else"\nusername = "kept"\n'
    )
    login = "b%C3%B6b:s3%22c%5Cr3t@"
    variables = logins.hand_to_uv("x @ https://***@host:1/x.whl", login, tmp_path, others, {})
    store = Path(variables["UV_CREDENTIALS_DIR"]) / "credentials.toml"
    kept = tomllib.loads(store.read_text(encoding="utf-8"))["credential"]
    assert [(each["service"], each["username"], each.get("password")) for each in kept] == [
        ("https://host:1", "böb", 's3"c\\r3t@'),
        ("https://else", "kept", None),
    ]
    assert store.stat().st_mode & 0o077 == 0
    variables = logins.hand_to_uv("x @ git+https://***@host/r.git", login, tmp_path, others, {"GIT_CONFIG_COUNT": "1"})
    file = tmp_path / "git-credentials"
    assert variables == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_1": "credential.https://host.helper",
        "GIT_CONFIG_VALUE_1": "",
        "GIT_CONFIG_KEY_2": "credential.https://host.helper",
        "GIT_CONFIG_VALUE_2": f"store --file={file}",
    }
    assert file.read_text() == "https://b%C3%B6b:s3%22c%5Cr3t%40@host\n"
    assert file.stat().st_mode & 0o077 == 0


def test_kept_with_the_variables_and_in_no_record(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    opened = open_source(None, requirement="x @ https://bob:s3cr3t@host/x.whl")
    record = opened.to_mapping()
    assert "s3cr3t" not in repr(opened) + repr(record) + opened.shown
    with keeping.keep(home, "h", Given(login=opened.login)):
        pass
    kept = given.read(home, "h")
    assert kept.variables() == {}
    assert reopen(record, login=kept.login) == opened
    assert recall(record, login=kept.login).login == opened.login
    other = open_source(None, requirement="x @ https://eve:other@host/x.whl")
    assert (other.requirement, other.plan().digests()) == (opened.requirement, opened.plan().digests())
    plain = open_source(None, requirement="x @ https://host/x.whl")
    assert plain.plan().digests() == opened.plan().digests()
    assert open_source(None, requirement="x @ https://host/y.whl").plan().digests() != plain.plan().digests()


def test_a_record_of_0_1_0_that_has_one(tmp_path: Path) -> None:
    """It is shown no more, and goes where it belongs with the next start."""
    home = Home(tmp_path)
    home.create()
    requirement = "x @ https://bob:s3cr3t@host/x.whl"
    source = {"kind": "requirement", "path": "/x", "requirement": requirement, "python": None, "downloads": False, "offline": False}
    home.registry.write_text(json.dumps({"h": {"handler": requirement, "source": source, "status": "stopped"}}))
    record = registry.read(home)["h"]
    assert "s3cr3t" not in record.handler + json.dumps(record.to_show())
    for opened in (reopen(record.source), recall(record.source)):
        assert opened.login == "bob:s3cr3t"
        assert "s3cr3t" not in json.dumps(opened.to_mapping())
