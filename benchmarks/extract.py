"""Extraction of a CAMELS-US archive into a store: wall time and peak memory.

Unpacks the archive, extracts in parts, two processes at a time, and merges, as the workflow does.

    python benchmarks/extract.py --config config/experiments/camels531_hbv10.yaml --data-root DIR
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def dmg(*arguments: str) -> float:
    """Run the command; give its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dmg", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", required=True)
    options.add_argument("--data-root", required=True)
    options.add_argument("--parts", type=int, default=4)
    options.add_argument("--processes", type=int, default=2)
    chosen = options.parse_args()
    source = ["--config", chosen.config, "--data-root", chosen.data_root]
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", str(Path(folder) / "stores" / "store.zarr")]
        start = time.perf_counter()
        seconds = {"unpack and template": dmg("extract", *source, *store, "--init")}
        names = [f"{i}-of-{chosen.parts}" for i in range(1, chosen.parts + 1)]
        with ThreadPoolExecutor(chosen.processes) as pool:
            begin = time.perf_counter()
            list(pool.map(lambda name: dmg("extract", *source, *store, "--part", name), names))
            seconds[f"{chosen.parts} parts, {chosen.processes} at a time"] = (
                time.perf_counter() - begin
            )
        seconds["merge"] = dmg("merge", *store)
        seconds["all"] = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print("| stage | wall [s] |\n|---|---|")
    for stage, value in seconds.items():
        print(f"| {stage} | {value:.1f} |")
    print(f"\nlargest process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
