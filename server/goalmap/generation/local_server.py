"""The program that serves the embedded model: run by `local.py` as a subprocess, never imported by Goalmap.

Usage: `python -m goalmap.generation.local_server WEIGHTS N_CTX N_THREADS`

It prints one line of JSON, `{"base_url": …, "api_key": …}`, once the model answers, and runs until its standard input
closes. However the parent ends, the system closes that pipe: a killed editor leaves no model behind.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
from typing import Any


def _exit_when_stdin_closes() -> None:
    while os.read(0, 4096):
        pass
    # Without cleaning up: an orderly exit would wait for llama.cpp's threads until they have generated.
    os._exit(0)


def main(weights: str, n_ctx: int, n_threads: int) -> None:
    """Serve the GGUF file `weights` on a free loopback port, with a context of `n_ctx` tokens, until stdin closes."""
    # Ctrl-C in a terminal reaches every process of the group; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_when_stdin_closes, daemon=True).start()
    # llama.cpp may print to stdout, which belongs to the one line that the parent waits for.
    hello_fd = os.dup(1)
    os.dup2(2, 1)

    import xllamacpp

    api_key = secrets.token_urlsafe(24)
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_ctx = n_ctx
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = n_threads
    params.cpuparams_batch.n_threads = n_threads
    listen_on_loopback(params)
    params.port = 0
    params.api_keys = [api_key]
    params.ui = False
    params.cors_origins = ""
    params.cors_credentials = False
    params.endpoint_slots = False
    params.cache_ram_mib = 0
    params.offline = True
    params.verbosity = -1
    server = xllamacpp.Server(params)
    hello = json.dumps({"base_url": f"{server.listening_address}/v1", "api_key": api_key})
    with os.fdopen(hello_fd, "w", encoding="utf-8") as pipe:
        pipe.write(hello + "\n")
    threading.Event().wait()


def listen_on_loopback(params: Any) -> None:
    """Set the one address to listen on, as this release of xllamacpp has it."""
    if hasattr(params, "hostnames"):
        params.hostnames = ["127.0.0.1"]
    else:  # before 2026.10
        params.hostname = "127.0.0.1"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
