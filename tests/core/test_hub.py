"""The hub is asked once whether it is there."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading

import pytest

CODE = """
from huggingface_hub import constants
from stillroom.core.hub import answers, cache_only_without_network
print(answers(), answers())
with cache_only_without_network():
    print(bool(constants.HF_HUB_OFFLINE))
print(bool(constants.HF_HUB_OFFLINE))
"""


def ask(**environment):
    everything = os.environ | {"HF_HUB_OFFLINE": "0"} | environment
    done = subprocess.run([sys.executable, "-c", CODE], env=everything, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture
def server():
    asked = []

    class Here(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def test_a_hub_that_is_there_is_asked_once_and_left_on(server):
    url, asked = server
    assert ask(HF_ENDPOINT=url) == ["True", "True", "False", "False"]
    assert len(asked) == 1


def test_where_it_is_not_there_the_body_alone_sees_the_cache():
    assert ask(HF_ENDPOINT="http://127.0.0.1:9") == ["False", "False", "True", "False"]


def test_who_wants_to_be_offline_is_not_connected(server):
    url, asked = server
    assert ask(HF_ENDPOINT=url, HF_HUB_OFFLINE="1") == ["False", "False", "True", "True"]
    assert not asked
