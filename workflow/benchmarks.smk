"""Which scores a benchmark reads: of experiments and ensembles, full or reduced."""


def variants(id_: str) -> list[tuple[str, str]]:
    """Names of the full and the reduced form of what a benchmark trains or averages."""
    names = (CATALOGUE.variants(id_, key) for key in CATALOGUE.benchmarks[id_].series)
    return [pair for pair in names if pair.full]


def members(name: str) -> list[str]:
    """The experiments behind a name: those of an ensemble, or itself."""
    return list(ENSEMBLES[name].members) if name in ENSEMBLES else [name]


def benchmark_scores(wildcards) -> list[str]:
    """Scores of what has its data at hand, reduced if the run says so; the table tells of the rest."""
    names = [less if RUN.reduced and less else full for full, less in variants(wildcards.id)]
    try:
        of_all = [*RUN.experiments, *(member for name in names for member in members(name))]
        check_all_shared({name: EXPERIMENTS[name] for name in of_all})
    except ValueError as error:
        raise SystemExit(f"dmg: error: {error}") from None
    there = [name for name in dict.fromkeys(names) if all(map(at_hand, members(name)))]
    return [f"{R}/{name}/scores.csv" for name in there]


def other_scores(wildcards) -> list[str]:
    """Scores that are there without having been asked for: the table shows them too."""
    paths = (f"{R}/{name}/scores.csv" for pair in variants(wildcards.id) for name in pair if name)
    asked = benchmark_scores(wildcards)
    return sorted({path for path in paths if path not in asked and os.path.exists(path)})


def content_of(name: str) -> dict:
    """Settings of an experiment or an ensemble."""
    return dmg.config.resolved(ENSEMBLES[name]) if name in ENSEMBLES else resolved(name)
