# Scores -> published values beside ours: snakemake B12, snakemake all_benchmarks.


wildcard_constraints:
    id="|".join(CATALOGUE.benchmarks) or "none",
    derived="|".join([*CATALOGUE.derived, *CATALOGUE.ensembles]) or "none",


# An experiment of a benchmark that has no file: another one with changes; or an ensemble.
rule derive:
    input:
        benchmarks=ancient(lambda wildcards: f"config/benchmarks/{wildcards.derived[:3]}.yaml"),
    output:
        config=f"{R}/benchmarks/experiments/{{derived}}.yaml",
    log:
        "logs/derive/{derived}.log",
    params:
        digest=lambda wildcards: digest_of(content_of(wildcards.derived)),
    shell:
        "dmg config derive {wildcards.derived} --out {output.config} > {log} 2>&1"


rule benchmark:
    input:
        config=ancient("config/benchmarks/{id}.yaml"),
        scores=benchmark_scores,
    output:
        table=f"{R}/benchmarks/{{id}}.csv",
    log:
        "logs/benchmark/{id}.log",
    params:
        digest=lambda wildcards: digest_of(dmg.config.resolved(CATALOGUE.benchmarks[wildcards.id])),
        others=other_scores,
        results=subpath(output.table, ancestor=2),
        root=DATA_ROOT,
    shell:
        "dmg benchmark {wildcards.id} --results {params.results} --data-root {params.root}"
        " --out {output.table} > {log} 2>&1"


for id_ in CATALOGUE.benchmarks:

    rule:
        name:
            id_
        input:
            f"{R}/benchmarks/{id_}.csv",


rule benchmark_page:
    input:
        tables=expand("{results}/benchmarks/{id}.csv", results=R, id=CATALOGUE.benchmarks),
    output:
        table=f"{R}/benchmarks.csv",
        page=report(f"{R}/benchmarks.html", category="benchmarks"),
    log:
        "logs/benchmark/page.log",
    params:
        results=subpath(output.table, parent=True),
        root=DATA_ROOT,
    shell:
        "dmg benchmark --results {params.results} --data-root {params.root}"
        " --out {output.table} --page {output.page} > {log} 2>&1"


rule all_benchmarks:
    input:
        f"{R}/benchmarks.csv",
        f"{R}/benchmarks.html",
