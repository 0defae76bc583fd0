"""Writes numbered lines at a rate for some seconds, and measures each write.

flood.py LINES_PER_SECOND SECONDS REPORT: it begins on SIGUSR1, leaves a JSON file with the
number of lines and the longest time that a write took, and says one last line on the next
SIGUSR1.
"""

import json
import os
import signal
import sys
import time

rate, seconds, report = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
BATCH = 100
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("standing by", flush=True)
signal.sigwait([signal.SIGUSR1])

number, longest = 0, 0.0
began = time.monotonic()
while time.monotonic() - began < seconds:
    lines = "".join(f"line {number + k} {'x' * 60}\n" for k in range(BATCH)).encode()
    before = time.monotonic()
    while lines:
        lines = lines[os.write(1, lines):]
    longest = max(longest, time.monotonic() - before)
    number += BATCH
    ahead = number / rate - (time.monotonic() - began)
    if ahead > 0:
        time.sleep(ahead)
took = time.monotonic() - began

with open(report + ".part", "w") as file:
    json.dump({"lines": number, "longest_ms": longest * 1000, "took_s": took}, file)
os.replace(report + ".part", report)
signal.sigwait([signal.SIGUSR1])
print("that was all", flush=True)
while True:
    signal.pause()
