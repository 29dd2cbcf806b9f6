# Preprocessed data -> trained models -> predictions.


# The launcher, not Snakemake, owns restarts; checkpoints lie beside model.pt and are not declared.
rule train:
    input:
        config=ancient(config_file),
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        statistics=f"{R}/{{experiment}}/preprocess/statistics.json",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
    output:
        model=f"{R}/{{experiment}}/{{fold}}/{{seed}}/model.pt",
    log:
        "logs/train/{experiment}/{fold}/{seed}.log",
    benchmark:
        f"{R}/{{experiment}}/{{fold}}/{{seed}}/train.tsv"
    retries: 0
    localrule: True
    threads: train_threads
    resources:
        launcher="local",
    params:
        digest=digest("data", "model", *(f"train.{key}" for key in TRAINING)),
        folder=subpath(input.splits, parent=True),
        cluster=cluster_options,
    shell:
        "dmg train --config {input.config} --store {input.store} --preprocess {params.folder}"
        " --fold {wildcards.fold} --seed {wildcards.seed} --launcher {resources.launcher}"
        " {params.cluster}"
        " --out {output.model} > {log} 2>&1"


rule predict:
    input:
        config=ancient(config_file),
        model=f"{R}/{{experiment}}/{{fold}}/{{seed}}/model.pt",
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
    output:
        predictions=directory(f"{R}/{{experiment}}/{{fold}}/{{seed}}/predictions.zarr"),
    log:
        "logs/predict/{experiment}/{fold}/{seed}.log",
    benchmark:
        f"{R}/{{experiment}}/{{fold}}/{{seed}}/predict.tsv"
    params:
        digest=digest(
            "evaluate.outputs", "evaluate.reference", "evaluate.period", "evaluate.memory"
        ),
        folder=subpath(input.splits, parent=True),
    shell:
        "dmg predict --config {input.config} --model {input.model} --store {input.store}"
        " --preprocess {params.folder} --out {output.predictions} > {log} 2>&1"
