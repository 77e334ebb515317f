"""Requests predictions for texts over gRPC, from `lstm-suite serve` or from TensorFlow Serving.

    python examples/grpc_client.py localhost:8500 sentiment "What an ending!" "It drags."

It needs TensorFlow and `tensorflow-serving-api`, but not this project.
"""

from __future__ import annotations

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def predict(address: str, model: str, texts: list[str]) -> dict[str, list[object]]:
    """Returns the outputs of the model by name, with one value per text.

    Args:
        address: host and gRPC port of the server.
        model: name of the model; its signature `serving_default` must have the only input `text`.
        texts: the texts.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in texts]))
    with grpc.insecure_channel(address) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)
    return {name: tf.make_ndarray(value).tolist() for name, value in response.outputs.items()}


def main() -> None:
    """Prints the outputs for the texts on the command line."""
    address, model, *texts = sys.argv[1:]
    for name, values in predict(address, model, texts).items():
        sys.stdout.write(f"{name}: {values}\n")


if __name__ == "__main__":
    main()
