# Predictions -> scores -> report.


rule score:
    input:
        config=ancient(config_file),
        store=basin_store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
        predictions=of_runs("predictions.zarr"),
    output:
        scores=f"{R}/{{experiment}}/scores.csv",
        summary=report(f"{R}/{{experiment}}/summary.csv", category="{experiment}"),
        peaks=f"{R}/{{experiment}}/peaks.csv",
        signatures=f"{R}/{{experiment}}/signatures.csv",
        groups=f"{R}/{{experiment}}/groups.csv",
    log:
        "logs/score/{experiment}.log",
    params:
        digest=digest(*SCORING),
        folder=subpath(input.splits, parent=True),
    shell:
        "dmg score --config {input.config} --store {input.store} --preprocess {params.folder}"
        " --out {output.scores} --summary {output.summary} {input.predictions} > {log} 2>&1"


rule baselines:
    input:
        config=ancient(config_file),
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
    output:
        scores=f"{R}/{{experiment}}/baselines.csv",
        predictions=directory(f"{R}/{{experiment}}/baselines"),
    log:
        "logs/baselines/{experiment}.log",
    params:
        digest=digest("evaluate.baselines", "evaluate.metrics", "evaluate.min_days"),
        folder=subpath(input.splits, parent=True),
    shell:
        "dmg baselines --config {input.config} --preprocess {params.folder}"
        " --folder {output.predictions} --out {output.scores} > {log} 2>&1"


rule ensemble:
    input:
        config=ancient(ensemble_file),
        predictions=predictions_of_members,
    output:
        scores=f"{R}/{{ensemble}}/scores.csv",
        summary=report(f"{R}/{{ensemble}}/summary.csv", category="{ensemble}"),
    log:
        "logs/ensemble/{ensemble}.log",
    params:
        digest=lambda wildcards: dmg.config.digest(ENSEMBLES[wildcards.ensemble]),
    shell:
        "dmg ensemble --config {input.config} --out {output.scores} --summary {output.summary}"
        " {input.predictions} > {log} 2>&1"


rule report:
    input:
        config=ancient(config_file),
        store=basin_store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        scores=f"{R}/{{experiment}}/scores.csv",
        predictions=of_runs("predictions.zarr"),
        truth=truth,
        baselines=baselines,
    output:
        page=report(f"{R}/{{experiment}}/report.html", category="{experiment}"),
    log:
        "logs/report/{experiment}.log",
    params:
        digest=digest(),
        folder=subpath(input.splits, parent=True),
        truth=lambda wildcards, input: f"--truth {input.truth}/truth" if input.truth else "",
        baselines=lambda wildcards, input: " ".join(f"--baselines {p}" for p in input.baselines),
        runs=runs,
    shell:
        "dmg report --config {input.config} --store {input.store} --preprocess {params.folder}"
        " --scores {input.scores} {params.truth}"
        " {params.baselines} --out {output.page} {params.runs} > {log} 2>&1"
