"""What the sidecar costs its host, measured beside the field's own clients.

``python -m benchmarks --help``; README.md shows one full run.
"""
