"""python -m llm_integration.simulator as a process: what it prints, how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process

import aiohttp
import pytest

from llm_integration.simulator import BATCH_FAULTS, FAULTS, SIMULATED_KEY
from llm_integration.simulator.__main__ import main

COMMAND = (sys.executable, "-m", "llm_integration.simulator")


async def start(*arguments: str) -> tuple[Process, str]:
    """The program on a free port, and the base URL that it prints."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", "0", *arguments, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    lines = [(await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in range(3)]
    found = re.search(r"OPENROUTER_BASE_URL=(http://127\.0\.0\.1:\d+/api/v1)\n", "".join(lines))
    assert found is not None, lines
    assert f"OPENROUTER_API_KEY={SIMULATED_KEY}" in lines[2]
    return process, found[1]


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_and_ends_cleanly_on_a_signal(name: signal.Signals) -> None:
    """Exit code 0, nothing on stderr, even with a request hanging."""
    process, url = await start("--fault", "hang_after_headers=1")
    headers = {"Authorization": f"Bearer {SIMULATED_KEY}"}
    body = {"messages": [{"role": "user", "content": "x"}]}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/chat/completions", json=body) as response,
    ):
        process.send_signal(name)
        output, errors = await asyncio.wait_for(process.communicate(), 10)
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert process.returncode == 0
    assert errors == b""
    assert output.startswith(b"Stopped after")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "nope=1"], "no fault is called 'nope'"),
        (["--fault", "hang"], "is not NAME=PROB"),
        (["--fault", "hang=2"], "probabilities must lie between 0 and 1"),
        (["--latency", "fast"], "neither seconds nor a range"),
        (["--latency", "2-1"], "0 <= low <= high expected"),
        (["--port", "70000"], "not a port between 0 and 65535"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback and no usage text, only what is wrong."""
    try:
        code: object = main(arguments)
    except SystemExit as leaving:
        code = leaving.code
    errors = capsys.readouterr().err
    assert code == 2
    assert errors.startswith("simulator: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_a_taken_port_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert str(port) in errors


def test_the_fault_list_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, with its kind and its meaning."""
    assert main(["--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    faults = {**FAULTS, **BATCH_FAULTS}
    assert [line.split()[0] for line in lines] == list(faults)
    assert all(info.description in line for line, info in zip(lines, faults.values(), strict=True))


def test_help_shows_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Examples are part of it."""
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    assert "--fault rate_limited=0.05" in capsys.readouterr().out
