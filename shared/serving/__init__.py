"""The embedded model server: TensorFlow Serving's REST and gRPC interface, from the same folders, on a machine without it."""
