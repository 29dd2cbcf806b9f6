# From raw files to a report for each experiment: snakemake --profile profiles/local
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/common.smk"
include: "workflow/benchmarks.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/network.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/benchmark.smk"


rule all:
    default_target: True
    input:
        expand("{results}/{experiment}/report.html", results=R, experiment=RUN.experiments),
        expand("{results}/{ensemble}/summary.csv", results=R, ensemble=RUN.ensembles),
