# A trained model and all units of a network -> runoff, discharge of all reaches, scores at gauges, map.
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
        network=network_store,
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


rule score_simulation:
    input:
        config=ancient(config_file),
        store=basin_store,
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        derived=f"{R}/{{experiment}}/preprocess/derived.zarr",
        done=of_runs("simulation/done"),
    output:
        scores=f"{R}/{{experiment}}/simulation/scores.csv",
        summary=report(f"{R}/{{experiment}}/simulation/summary.csv", category="{experiment}"),
        peaks=f"{R}/{{experiment}}/simulation/peaks.csv",
        signatures=f"{R}/{{experiment}}/simulation/signatures.csv",
        groups=f"{R}/{{experiment}}/simulation/groups.csv",
    log:
        "logs/simulate/{experiment}/score.log",
    params:
        digest=digest(*SCORING),
        folder=subpath(input.splits, parent=True),
        gauges=of_runs("simulation/gauges.zarr"),
    shell:
        "dmg score --config {input.config} --store {input.store} --preprocess {params.folder}"
        " --out {output.scores} --summary {output.summary} {params.gauges} > {log} 2>&1"


rule map_simulation:
    input:
        network=network_store,
        scores=f"{R}/{{experiment}}/simulation/scores.csv",
    output:
        map=report(f"{R}/{{experiment}}/simulation/map.png", category="{experiment}"),
    log:
        "logs/simulate/{experiment}/map.log",
    params:
        flow=lambda wildcards: f"{runs(wildcards)[0]}/simulation/discharge.zarr",
    shell:
        "dmg data map --network {input.network} --flow {params.flow} --scores {input.scores}"
        " --out {output.map} > {log} 2>&1"
