"""Ignores every signal that can be ignored."""

import signal

for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass  # Two of the C library's own cannot be.

print("nothing moves me", flush=True)
while True:
    signal.sigtimedwait([], 1000)
