"""Runs a command where somebody answers at 198.51.100.7:8125 (RFC 5737), beside loopback.

It is to be started in a network namespace of its own, which stands for the machine's network.
"""
import os
import socket
import subprocess
import sys

AT = ("198.51.100.7", 8125)

for words in (["link", "set", "lo", "up"], ["address", "add", AT[0], "dev", "lo"]):
    subprocess.run(["ip", *words], check=True)
listening = socket.create_server(AT)
audit = os.getpid()
if os.fork():
    listening.close()
    os.execvp(sys.argv[1], sys.argv[1:])
listening.settimeout(0.2)
while os.getppid() == audit:
    try:
        listening.accept()[0].close()
    except TimeoutError:
        pass
