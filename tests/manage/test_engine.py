"""Which engine a handler has: settings, a variable that counts more, and what may cross a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nectar.errors import EnvironmentFailedError, UsageError
from nectar.manage.daemon.assignment import Order, prepare
from nectar.manage.daemon.engine import ADDRESS, describe, is_local
from nectar.manage.daemon.given import Given
from nectar.manage.environment.marker import Marker
from nectar.protocol import EntryPoint
from nectar.settings import Settings
from tests.environments.workbench import Bench, uv

HERE = "tcp://127.0.0.1:8786"
AWAY = "tcp://10.0.0.5:8786"
MARKER = Marker("3.11.7", "corpus 1", (), (), [["distributed", "2026.8"]], {}, {"lock": "abc"})


def described(tmp_path: Path, variable: str | None = None, *, executor: str | None = None, **dask: Any) -> dict[str, Any]:
    settings = Settings.from_mapping({"dask": dask, **({"executor": executor} if executor else {})})
    return describe("corpus", settings, {ADDRESS: variable} if variable else {}, tmp_path, MARKER)


def test_without_an_address_there_is_no_cluster(tmp_path: Path) -> None:
    assert described(tmp_path) == {"name": "corpus", "executor": None, "dask": None, "identity": MARKER.portable, "lock": "abc"}
    assert described(tmp_path, timeout=3, executor="parts")["dask"] is None
    assert described(tmp_path, AWAY, executor="none", address=AWAY)["dask"] is None


def test_the_variable_counts_more(tmp_path: Path) -> None:
    assert described(tmp_path, address=HERE)["dask"]["given"] is None
    dask = described(tmp_path, "localhost:1", address=AWAY, timeout=3)["dask"]
    assert (dask["address"], dask["given"], dask["timeout"]) == ("localhost:1", ADDRESS, 3)


def test_what_would_cross_a_network_as_it_is_needs_a_word(tmp_path: Path) -> None:
    for address in ("10.0.0.5:8786", AWAY, "tcp://dask.example:8786", "tcp://[fe80::1]:8786"):
        with pytest.raises(UsageError, match="for anybody on the way to read") as caught:
            described(tmp_path, address=address)
        assert "--insecure" in str(caught.value.hint)
        with pytest.raises(UsageError, match="for anybody"):
            described(tmp_path, address, address=HERE)
        assert described(tmp_path, address=address, insecure=True)["dask"]["address"] == address


def test_a_variable_is_nothing_to_who_has_no_dask(tmp_path: Path) -> None:
    dask = describe("other", Settings(), {ADDRESS: AWAY}, tmp_path, MARKER._replace(distributions=[["click", "8"]]))["dask"]
    assert (dask["address"], dask["given"]) == (AWAY, ADDRESS)


@pytest.mark.parametrize("address", [AWAY, AWAY.removeprefix("tcp://"), AWAY.replace("tcp", "tls")])
def test_with_the_files_it_is_tls(tmp_path: Path, address: str) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    dask = described(tmp_path, address=address, tls_ca="ca", tls_cert=str(tmp_path / "cert"), tls_key="key")["dask"]
    assert dask["address"] == "tls://10.0.0.5:8786"
    assert [dask[f"tls_{name}"] for name in ("ca", "cert", "key")] == [str(tmp_path / name) for name in ("ca", "cert", "key")]


def test_half_of_the_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca").touch()
    with pytest.raises(UsageError, match="For TLS, tls_cert and tls_key are missing"):
        described(tmp_path, address=AWAY, tls_ca="ca")
    with pytest.raises(UsageError, match="For TLS"):
        described(tmp_path, address="tls://127.0.0.1:1")
    with pytest.raises(UsageError, match=r"There is no file /.*/nowhere"):
        described(tmp_path, address=AWAY, tls_ca="nowhere", tls_cert="ca", tls_key="ca")


@pytest.mark.parametrize(
    "address", ["", "10.0.0.5", "http://10.0.0.5:80", "tcp://", "tcp://a b:1", "tcp://a:b", "inproc://1/2", "a:0", "a:65536"]
)
def test_what_is_no_address_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match=r"must be a table in which address|no address of a Dask scheduler"):
        described(tmp_path, address=address)


@pytest.mark.parametrize("address", [HERE, "localhost:1", "tls://[::1]:1", "127.3.2.1:1"])
def test_what_stays_on_this_machine(address: str) -> None:
    assert is_local(address)


@pytest.mark.uv
@pytest.mark.once
def test_what_is_to_be_the_same_on_several_machines_has_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    bench = Bench(tmp_path)
    sources = '[tool.uv.sources]\ndistributed = { path = "distributed" }\n'
    path = bench.project("corpus", dependencies=("distributed",), more=sources)
    bench.project("distributed", at="corpus/distributed", handler=False)
    opened = bench.open(path)
    here = Order(opened, given=Given(env={ADDRESS: HERE}))
    built = bench.provide(path)
    assert prepare(bench.home, "corpus", Order(opened), built).assignment.loading.engine["dask"] is None
    with pytest.raises(EnvironmentFailedError, match="A handler on an engine needs a lock") as refused:
        prepare(bench.home, "corpus", here, built)
    assert refused.value.hint == f"uv lock --project {path}"
    assert prepare(bench.home, "corpus", here, built, chosen=EntryPoint("corpus", "corpus:answer")), "it was launched before"
    uv("lock", "--project", path)
    assert prepare(bench.home, "corpus", here, bench.provide(path)).assignment.loading.engine["dask"]["address"] == HERE
