# The river network that the units of an experiment drain to.


rule network:
    input:
        config=ancient(lambda wildcards: experiment_file(on_a_network(wildcards.dataset))),
        raw=ancient(raw_data),
    output:
        network=directory(f"{R}/stores/{{dataset}}_network.zarr"),
    log:
        "logs/network/{dataset}.log",
    params:
        source=lambda wildcards: EXPERIMENTS[on_a_network(wildcards.dataset)].data.source,
        root=data_root,
    shell:
        "dmg data network --config {input.config} --data-root {params.root}"
        " --out {output.network} > {log} 2>&1"
