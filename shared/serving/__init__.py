"""The embedded model server: the REST and gRPC API of TensorFlow Serving on machines without TensorFlow Serving."""
