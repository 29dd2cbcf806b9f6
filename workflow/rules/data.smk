# Raw files -> store: generate (twin experiments), extract in parts, merge.


scattergather:
    extract=RUN.extract_parts,


rule synthetic:
    input:
        config=ancient(config_file),
    output:
        tree=directory(f"{R}/raw/{{dataset}}"),
    log:
        "logs/synthetic/{dataset}.log",
    params:
        digest=digest("data.synthetic", "data.synthetic_network"),
    shell:
        "dmg data synthetic --config {input.config} --out {output.tree} > {log} 2>&1"


rule extract_init:
    input:
        config=ancient(config_file),
        raw=ancient(raw_data),
        basins=basin_list,
        forcing=forcing_store,
    output:
        init=temp(f"{R}/stores/{{store}}.parts/init.json"),
    log:
        "logs/extract/{store}/init.log",
    resources:
        mem_mb=2000,
    params:
        digest=digest(*(f"data.{key}" for key in EXTRACTION)),
        root=data_root,
        store=f"{R}/stores/{{store}}.zarr",
    shell:
        "dmg extract --config {input.config} --data-root {params.root}"
        " --store {params.store} --memory-mb {resources.mem_mb} --init > {log} 2>&1"


rule extract:
    input:
        config=ancient(config_file),
        init=f"{R}/stores/{{store}}.parts/init.json",
    output:
        part=temp(f"{R}/stores/{{store}}.parts/{{scatteritem}}.json"),
    log:
        "logs/extract/{store}/{scatteritem}.log",
    benchmark:
        f"{R}/benchmarks/extract/{{store}}/{{scatteritem}}.tsv"
    resources:
        mem_mb=2000,
    params:
        digest=digest(*(f"data.{key}" for key in EXTRACTION)),
        root=data_root,
        store=f"{R}/stores/{{store}}.zarr",
    shell:
        "dmg extract --config {input.config} --data-root {params.root}"
        " --store {params.store} --memory-mb {resources.mem_mb}"
        " --part {wildcards.scatteritem} > {log} 2>&1"


rule merge:
    input:
        init=f"{R}/stores/{{store}}.parts/init.json",
        parts=gather.extract(f"{R}/stores/{{{{store}}}}.parts/{{scatteritem}}.json"),
    output:
        store=directory(f"{R}/stores/{{store}}.zarr"),
    log:
        "logs/merge/{store}.log",
    params:
        digest=digest(*(f"data.{key}" for key in EXTRACTION)),
    shell:
        "dmg merge --store {output.store} > {log} 2>&1"


rule preprocess:
    input:
        config=ancient(config_file),
        store=store,
        basins=basin_list,
        tables=split_tables,
    output:
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        statistics=f"{R}/{{experiment}}/preprocess/statistics.json",
        derived=directory(f"{R}/{{experiment}}/preprocess/derived.zarr"),
    log:
        "logs/preprocess/{experiment}.log",
    benchmark:
        f"{R}/benchmarks/preprocess/{{experiment}}.tsv"
    resources:
        mem_mb=2000,
        dask="local",
    params:
        digest=digest("data"),
        folder=subpath(output.splits, parent=True),
        workers=worker_options,
    shell:
        "dmg preprocess --config {input.config} --store {input.store} {params.workers}"
        " --out {params.folder} > {log} 2>&1"


# The same for gauges of a river network, whose weather is that of the units upstream.
rule preprocess_gauges:
    input:
        config=ancient(config_file),
        store=store,
        gauges=at_gauges,
        tables=split_tables,
    output:
        splits=f"{R}/{{experiment}}/preprocess/splits.csv",
        statistics=f"{R}/{{experiment}}/preprocess/statistics.json",
        derived=directory(f"{R}/{{experiment}}/preprocess/derived.zarr"),
        units=directory(f"{R}/{{experiment}}/preprocess/units.zarr"),
        network=directory(f"{R}/{{experiment}}/preprocess/network.zarr"),
        gauges=f"{R}/{{experiment}}/preprocess/gauges.txt",
    log:
        "logs/preprocess/{experiment}.log",
    benchmark:
        f"{R}/benchmarks/preprocess/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=GAUGED,
    resources:
        mem_mb=2000,
        dask="local",
    params:
        digest=digest("data"),
        folder=subpath(output.splits, parent=True),
        workers=worker_options,
    shell:
        "dmg preprocess --config {input.config} --store {input.store} {params.workers}"
        " --out {params.folder} > {log} 2>&1"


ruleorder: preprocess_gauges > preprocess
