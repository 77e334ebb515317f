"""Asks a model of texts by gRPC, of TensorFlow Serving or of `lstm-suite serve`.

    python examples/grpc_client.py localhost:8500 sentiment "What an ending!" "It drags."

Needs `tensorflow-serving-api` and TensorFlow, none of this project.
"""

from __future__ import annotations

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def ask(address: str, model: str, texts: list[str]) -> dict[str, list[object]]:
    """Returns the model's answers by the outputs' names, one for each text."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in texts]))
    with grpc.insecure_channel(address) as channel:
        reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)
    return {name: tf.make_ndarray(value).tolist() for name, value in reply.outputs.items()}


def main() -> None:
    address, model, *texts = sys.argv[1:]
    for name, values in ask(address, model, texts).items():
        sys.stdout.write(f"{name}: {values}\n")


if __name__ == "__main__":
    main()
