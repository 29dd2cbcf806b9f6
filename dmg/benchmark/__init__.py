"""Benchmarks: published values, what we get, and what keeps the two from being compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dmg.benchmark.rows import Sources, rows_of
from dmg.config import Catalogue
from dmg.files import atomic


def benchmark(
    ids: Sequence[str],
    out: Path,
    *,
    config: Path,
    results: Path,
    data_root: Path,
    page: Path | None = None,
) -> pd.DataFrame:
    """Write a table of published values and ours, and on demand the page that shows them.

    Parameters
    ----------
    ids
        Benchmarks, such as B12; none: all of them.
    out
        Table to write, a row for each published value and form (full, reduced) of its experiment.
    config
        Folder of the configuration, with `benchmarks/` and `experiments/`.
    results
        Folder with the scores of the experiments, wherever they were trained.
    data_root
        Folder whose `published/` holds published scores of each basin.
    page
        Page to write.
    """
    catalogue = Catalogue(config)
    unknown = sorted(set(ids) - set(catalogue.benchmarks))
    if unknown or not catalogue.benchmarks:
        known = ", ".join(catalogue.benchmarks) or "none"
        raise ValueError(f"no benchmark {unknown} in {config / 'benchmarks'}; there are: {known}")
    sources = Sources(catalogue, results, data_root)
    table = pd.concat([rows_of(id_, sources) for id_ in ids or catalogue.benchmarks])
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    if page is not None:
        from dmg.benchmark.page import write_page

        write_page(page, table, sources)
    return table
