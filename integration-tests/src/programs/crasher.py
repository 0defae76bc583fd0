"""Says why, and ends with 3."""

import sys

print("cannot go on: the moon is full", flush=True)
sys.exit(3)
