# Predictions -> scores -> report.


rule score:
    input:
        config=ancient(config_file),
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
        predictions=of_runs("predictions.zarr"),
    output:
        scores=f"{R}/{{experiment}}/scores.csv",
        summary=report(f"{R}/{{experiment}}/summary.csv", category="{experiment}"),
    log:
        "logs/score/{experiment}.log",
    params:
        digest=digest("evaluate.metrics"),
        folder=subpath(input.splits, parent=True),
    shell:
        "dmg score --config {input.config} --preprocess {params.folder}"
        " --out {output.scores} --summary {output.summary} {input.predictions} > {log} 2>&1"


rule report:
    input:
        config=ancient(config_file),
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        scores=f"{R}/{{experiment}}/scores.csv",
        summary=f"{R}/{{experiment}}/summary.csv",
        predictions=of_runs("predictions.zarr"),
        truth=truth,
    output:
        page=report(f"{R}/{{experiment}}/report.html", category="{experiment}"),
    log:
        "logs/report/{experiment}.log",
    params:
        digest=digest(),
        folder=subpath(input.splits, parent=True),
        truth=lambda wildcards, input: f"--truth {input.truth}/truth" if input.truth else "",
        runs=runs,
    shell:
        "dmg report --config {input.config} --store {input.store} --preprocess {params.folder}"
        " --scores {input.scores} --summary {input.summary} {params.truth}"
        " --out {output.page} {params.runs} > {log} 2>&1"
