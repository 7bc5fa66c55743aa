"""Runs ONNX networks, and knows which ones ship: where each came from, what it needs and what it may be used for."""
