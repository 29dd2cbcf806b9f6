"""Run the benchmarks that need no data, one after another."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

SCRIPTS = ("training_step.py", "scan.py", "ode.py", "memory.py")

print(
    f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end=""
)
print(f"torch {torch.__version__}", flush=True)
for script in SCRIPTS:
    print(f"\n## {script}\n", flush=True)
    path = Path(__file__).with_name(script)
    subprocess.run([sys.executable, path], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
