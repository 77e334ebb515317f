"""Sends a sequence step by step to `lstm-suite serve` or TensorFlow Serving, pinned to one version of a model.

    python examples/stream_client.py http://localhost:8501 next_word < words.jsonl

Each line is a JSON object with the inputs of the signature `step`, without its state, such as {"word": "the"}. The server keeps no
state: each response has the next state, and the client sends it with the next step. Only the version that made a state can continue it,
so all requests name this version. It needs only Python.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any


class PinnedStream:
    """One sequence, and its state.

    Args:
        address: address of the REST API.
        model: name of the model; it must have the signature `step`.
    """

    def __init__(self, address: str, model: str) -> None:
        metadata = request_json(f"{address}/v1/models/{model}/metadata")
        self.version = metadata["model_spec"]["version"]
        self.url = f"{address}/v1/models/{model}/versions/{self.version}:predict"
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        if "step" not in signatures:
            raise SystemExit(f"{model}: the model has no signature step.")
        inputs, outputs = signatures["step"]["inputs"], signatures["step"]["outputs"]
        self.state = {name: initial_state(info) for name, info in inputs.items() if name in outputs}

    def step(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns the outputs for the next step, without the state."""
        body = {"signature_name": "step", "instances": [{**inputs, **self.state}]}
        (outputs,) = request_json(self.url, body)["predictions"]
        self.state = {name: outputs.pop(name) for name in self.state}
        return outputs


def initial_state(info: dict[str, Any]) -> Any:
    """Returns the state at the start of a sequence: zeros in the shape of the input, without the axis of the batch."""
    state: Any = 0
    for dim in reversed(info["tensor_shape"]["dim"][1:]):
        state = [state] * int(dim["size"])
    return state


def request_json(url: str, body: dict[str, Any] | None = None) -> Any:
    """Returns the JSON of a response.

    Raises:
        SystemExit: the server reports an error.
    """
    content = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, content, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        message = json.load(error)["error"]
        hint = " If the version is no longer served, begin the sequence again." if error.code == 404 else ""
        raise SystemExit(f"{url}: {message}{hint}") from error


def main() -> None:
    """Prints the outputs for the steps on standard input."""
    stream = PinnedStream(*sys.argv[1:3])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(stream.step(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
