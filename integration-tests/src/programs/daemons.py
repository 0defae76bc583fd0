"""Leaves daemons behind in every way there is, and goes on itself."""

import os
import signal
import sys


def daemon(body):
    """Forks twice into a session of its own, as daemons do."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            body()
        os._exit(0)
    os.wait()


def wait_for_ever():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        signal.pause()


def other_program():
    os.execve("/bin/sleep", [os.path.dirname(sys.argv[0]) + "/sleeper", "1000000"], {})


daemon(wait_for_ever)
daemon(other_program)
daemon(lambda: daemon(wait_for_ever))
print("daemons are out", flush=True)
while True:
    signal.pause()
