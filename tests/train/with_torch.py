"""Imported first by tests that want PyTorch: where it cannot be imported the test runs itself again with the interpreter
in NETC_TORCH_PYTHON, else it is skipped (status 77)."""
import os
import sys

other = os.environ.pop("NETC_TORCH_PYTHON", None)
if other:
    os.execvp(other, [other, *sys.argv])
try:
    import torch  # noqa: F401
except ImportError:
    print(f"SKIPPED: {sys.executable} has no torch; NETC_TORCH_PYTHON names a Python that has it")
    sys.exit(77)
