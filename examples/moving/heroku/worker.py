"""Works, and ends when it is asked to."""

import signal

print("working", flush=True)
signal.sigwait({signal.SIGTERM})
