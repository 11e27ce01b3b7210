"""``nectar metrics``: numbers that programs read, on standard output and at a port of this machine."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from tests.world import World

FICKLE = """
    from nectar import handler

    @handler
    def fickle(comp):
        return {"one": 1}[comp.query]
"""
GONE = "import sys; sys.modules[sys.argv.pop(1)] = None; from nectar.cli import main; main()"
"""The command in an environment that lacks a module."""


def read(text: str) -> dict[str, float]:
    """Each sample, by its name and its labels besides the handler's."""
    found = {}
    for family in parse_openmetrics(text):
        for sample in family.samples:
            labels = [value for name, value in sample.labels.items() if name != "handler"]
            found[" ".join([sample.name, *labels])] = sample.value
    return found


@pytest.mark.uv
@pytest.mark.once
def test_what_a_handler_does_is_counted_whatever_becomes_of_its_daemon(world: World) -> None:
    world.node("alice")
    world.run("launch", world.file("h.py", FICKLE), "--attach", "alice")
    world.run("submit", "alice", "one")
    world.run("submit", "alice", "two", code=1)
    text = world.run("metrics").stdout
    assert text.endswith("\n# EOF\n")
    now = read(text)
    assert (now["nectar_handler_up"], now["nectar_handler_well"]) == (1, 1)
    assert [name for name, value in now.items() if name.startswith("nectar_handler_state") and value] == [
        "nectar_handler_state running"
    ]
    outcomes = [now[f"nectar_questions_total {outcome}"] for outcome in ("success", "error", "timeout")]
    assert outcomes == [1, 1, 0]
    duration = "nectar_question_duration_seconds"
    assert now[f"{duration}_bucket +Inf"] == now[f"{duration}_count"] == now[f"{duration}_bucket 50.0"] == 2
    assert 0 < now[f"{duration}_sum"] < PATIENCE
    assert now["nectar_workers_started_total"] == 1 and now["nectar_daemon_deaths_total"] == 0
    assert now["nectar_worker_memory_bytes 1"] > 2**20 and 0 < now["nectar_environment_build_seconds"] < 600
    created = now["nectar_questions_created success"]
    assert created == now[f"{duration}_created"] == now["nectar_handler_start_time_seconds"]
    # What the collector of files reads is the older format.
    families = {family.name: family for family in parse_prometheus(text)}
    assert len(families["nectar_question_duration_seconds"].samples) >= 29

    os.kill(world.json("view")["handlers"][0]["pid"], signal.SIGKILL)
    until(lambda: world.json("view")["handlers"][0]["health"]["state"] == "dead", "it is dead")
    os.utime(world.put("waits", "one"), (created - 100, created - 100))
    dead = read(world.run("metrics").stdout)
    assert (dead["nectar_handler_up"], dead["nectar_handler_well"], dead["nectar_handler_state dead"]) == (0, 0, 1)
    assert (dead["nectar_questions_waiting"], "nectar_questions_total success" in dead) == (1, False)
    assert dead["nectar_oldest_question_age_seconds"] >= 100
    world.run("start", "h")
    world.answer("waits")
    again = read(world.run("metrics").stdout)
    assert (again["nectar_daemon_deaths_total"], again["nectar_oldest_question_age_seconds"]) == (1, 0)
    assert again["nectar_questions_created success"] > created, "which tells that these counters begin anew"


@pytest.mark.once
def test_it_is_served_to_this_machine_and_to_no_page(world: World) -> None:
    process = world.begin("metrics", "--listen", "0")
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:") and address.endswith("/metrics")
    host = address.split("/")[2]

    def ask(method: str = "GET", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        connection.request(method, "/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        return response.status, body

    status, text = ask(Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200 and len(read(text)) == 1
    assert len([*parse_prometheus(ask()[1])]) > 5
    for refused in (ask(Host="rebound.example"), ask(Origin="http://elsewhere.example"), ask(Origin="null")):
        assert refused[0] == 403 and "nectar_" not in refused[1]
    assert ask("POST")[0] == 405
    assert ask(Host="localhost:" + host.split(":")[1])[0] == 200
    taken = world.run("metrics", "--listen", host, code=4)
    assert f"Port {host.split(':')[1]} is taken." in taken.stderr
    world.file("bee-hive/nectar/handlers.json", "{").parent.chmod(0o700)
    assert ask()[0] == 500 and "is broken" in ask()[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stderr is not None and process.stderr.read().strip() == ""


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.0.0.0:1", "not on loopback"),
        ("[::]:1", "not on loopback"),
        ("192.0.2.1:1", "not on loopback"),
        ("example.org:80", "no address of this machine"),
        ("127.0.0.1:65536", "is no address"),
        ("127.0.0.1", "is no address"),
        ("metrics", "is no address"),
    ],
)
def test_nothing_but_loopback_is_listened_at(world: World, address: str, said: str) -> None:
    ended = world.run("metrics", "--listen", address, code=2)
    assert said in ended.stderr and len(ended.stderr.splitlines()) <= 3


@pytest.mark.once
def test_ipv6_has_a_loopback_too(world: World) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    process = world.begin("metrics", "--listen", "[::1]:0")
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    connection = http.client.HTTPConnection("::1", int(address.split(":")[-1].split("/")[0]), timeout=PATIENCE)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()
    process.terminate()
    assert process.wait(PATIENCE) == 143


@pytest.mark.once
@pytest.mark.parametrize(("verb", "module"), [("metrics", "prometheus_client"), ("dashboard", "waitress")])
def test_without_the_library_it_says_what_to_type(world: World, verb: str, module: str) -> None:
    ended = world._run([sys.executable, "-c", GONE, module, verb], {})
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert f"[{verb}]" in lines[0] and f"pip install --python {sys.executable}" in lines[2] and module.replace("_", "-") in lines[2]
