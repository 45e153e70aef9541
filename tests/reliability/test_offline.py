"""Nothing is sent or fetched: commands end as they do with a network, while every socket is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLOCKED = """
import socket, sys
def refused(*arguments, **named):
    raise AssertionError(f"the network was asked: {arguments}")
class Closed(socket.socket):
    connect = connect_ex = bind = sendto = refused
socket.socket = Closed
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refused
from symflow.cli import main
main(sys.argv[1:])
"""


def test_commands_need_no_network(tmp_path: Path) -> None:
    small = ["--samples", "2", "--seed", "0", "--steps", "40", "--keep", "40", "--end", "8", "--resolution", "64"]
    for arguments in (
        ["doctor"],
        ["generate", "kdv", *small, "--out", "data.h5"],
        ["describe", "data.h5"],
        ["discover", "kdv", "--report", "--out", "run"],
        ["verify", "run"],
        ["report", "run"],
    ):
        command = [sys.executable, "-c", BLOCKED, *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
        assert answer.returncode == 0, answer.stderr
        assert "network was asked" not in answer.stderr
