"""Programs that take a second to load, loaded once: each call is a fork that begins where they end.

`forks.py serve PLACE PROGRAM` loads; `forks.py PLACE ARGUMENTS` calls, with the caller's terminal,
folder and environment. It runs by itself, by the Python that has the program.
"""

import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable

_MOST = 1 << 20


def aws() -> Callable[[list[str]], int]:
    module = importlib.import_module("awscli.clidriver")  # Debian's Python has it, not ours
    driver = module.create_clidriver()
    return lambda arguments: int(driver.main(arguments))


def batchwatch() -> Callable[[list[str]], int]:
    import boto3  # noqa: F401, PLC0415 - loaded, so that no fork has to

    from batchwatch.cli import app, main, stack  # noqa: F401, PLC0415

    def run(arguments: list[str]) -> int:
        sys.argv = ["batchwatch", *arguments]
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return 0

    return run


def serve(place: str, program: Callable[[list[str]], int]) -> None:
    """Answer each caller in a process of its own, until we are ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{place}.new")
        listening.listen(16)
        os.rename(f"{place}.new", place)  # noqa: PTH104 - whoever sees it can call
        while True:
            caller, _ = listening.accept()
            with caller:
                if not os.fork():
                    listening.close()
                    _answer(caller, program)


def _answer(caller: socket.socket, program: Callable[[list[str]], int]) -> None:
    code = 1
    try:
        said, files, _, _ = socket.recv_fds(caller, _MOST, 3)
        while not said.endswith(b"\n"):
            said += caller.recv(_MOST)
        asked = json.loads(said)
        for there, here in zip(files, (0, 1, 2), strict=True):
            os.dup2(there, here)
            os.close(there)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as they are at a start
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.environ.update(asked["environment"])  # of its own, it keeps where its data lie
        os.chdir(asked["folder"])
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        code = program(asked["arguments"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
    finally:
        caller.sendall(str(code).encode())
        os._exit(code)


def call(place: str, arguments: list[str]) -> int:
    asked = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        text = json.dumps(asked).encode() + b"\n"
        sent = socket.send_fds(server, [text], [0, 1, 2])
        server.sendall(text[sent:])
        return int(server.recv(16) or b"1")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], {"aws": aws, "batchwatch": batchwatch}[sys.argv[3]]())
    else:
        sys.exit(call(sys.argv[1], sys.argv[2:]))
