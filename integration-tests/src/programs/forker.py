"""Starts children, and each child a child of its own; all of them wait for ever."""

import os
import signal

for _ in range(3):
    if os.fork() == 0:
        os.fork()
        while True:
            signal.pause()

print("forked", flush=True)
while True:
    signal.pause()
