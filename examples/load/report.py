"""A task: says in which environment it runs."""

import os
import sys

print(f"report of {os.environ['UPDRAFT_SYSTEM']}.{os.environ['UPDRAFT_SERVICE']}")
print(*sys.argv[1:])
