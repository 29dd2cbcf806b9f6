# A trained model and all units of a network -> runoff, discharge of all reaches, flow at gauges.
# Only marks are declared: Snakemake would delete unfinished stores, which a repeated job goes on with.


scattergather:
    simulate=RUN.simulate_parts,


SIMULATION = f"{R}/{{experiment}}/{{fold}}/{{seed}}/simulation"


rule simulate_init:
    input:
        config=ancient(config_file),
        model=f"{R}/{{experiment}}/{{fold}}/{{seed}}/model.pt",
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
    output:
        begun=touch(f"{SIMULATION}/begun"),
    log:
        "logs/simulate/{experiment}/{fold}/{seed}/init.log",
    params:
        digest=digest("simulate", "evaluate.reference"),
        folder=subpath(input.splits, parent=True),
        out=subpath(output.begun, parent=True),
    shell:
        "dmg simulate --config {input.config} --model {input.model} --store {input.store}"
        " --preprocess {params.folder} --out {params.out} --init > {log} 2>&1"


rule simulate:
    input:
        config=ancient(config_file),
        begun=f"{SIMULATION}/begun",
        model=f"{R}/{{experiment}}/{{fold}}/{{seed}}/model.pt",
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
    output:
        part=touch(f"{SIMULATION}/{{scatteritem}}.done"),
    log:
        "logs/simulate/{experiment}/{fold}/{seed}/{scatteritem}.log",
    benchmark:
        f"{R}/benchmarks/simulate/{{experiment}}/{{fold}}/{{seed}}/{{scatteritem}}.tsv"
    params:
        digest=digest("simulate", "evaluate.reference"),
        folder=subpath(input.splits, parent=True),
        out=subpath(output.part, parent=True),
    shell:
        "dmg simulate --config {input.config} --model {input.model} --store {input.store}"
        " --preprocess {params.folder} --out {params.out} --part {wildcards.scatteritem}"
        " > {log} 2>&1"


rule simulate_rivers:
    input:
        config=ancient(config_file),
        parts=gather.simulate(
            f"{R}/{{{{experiment}}}}/{{{{fold}}}}/{{{{seed}}}}/simulation/{{scatteritem}}.done"
        ),
        model=f"{R}/{{experiment}}/{{fold}}/{{seed}}/model.pt",
        store=store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        network=lambda wildcards: (
            f"{R}/stores/{EXPERIMENTS[wildcards.experiment].data.dataset}_network.zarr"
        ),
    output:
        done=touch(f"{SIMULATION}/done"),
    log:
        "logs/simulate/{experiment}/{fold}/{seed}/rivers.log",
    benchmark:
        f"{R}/benchmarks/simulate/{{experiment}}/{{fold}}/{{seed}}/rivers.tsv"
    threads: lambda wildcards: workflow.cores
    params:
        digest=digest("simulate", "evaluate.reference"),
        folder=subpath(input.splits, parent=True),
        out=subpath(output.done, parent=True),
    shell:
        "dmg simulate --config {input.config} --model {input.model} --store {input.store}"
        " --preprocess {params.folder} --out {params.out} --network {input.network} --rivers"
        " > {log} 2>&1"
