import json
import socket
from urllib.request import Request, urlopen

import pytest

from stillroom.core.errors import ModelError
from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.teacher.local import served


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama that has learned nothing."""
    shape = Shape(vocab_size=270, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    tokenizer = vocabulary(["a few words"], shape)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    network(shape, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def asked(address, model):
    """Ask for three tokens, and return the answer."""
    body = {"model": model, "messages": [{"role": "user", "content": "words"}], "max_tokens": 3}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{address}/chat/completions", json.dumps(body).encode(), headers), timeout=60) as response:
        return json.load(response)


def test_a_folder_answers_as_an_api_does_and_the_server_is_gone_when_the_work_fails(folder):
    addresses = []

    def fail_at_work():
        with served(folder) as address:
            addresses.append(address)
            assert asked(address, folder.name)["usage"]["completion_tokens"] <= 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_at_work()
    port = int(addresses[0].split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_server_that_cannot_serve_is_one_plain_sentence(tmp_path):
    with (
        pytest.raises(ModelError, match=r"did not begin to serve: see .*nothing\.log"),
        served(tmp_path / "nothing"),
    ):
        pass
