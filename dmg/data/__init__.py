"""From a provider's raw files to tensors: sources, store, splits, statistics, loader, sampler."""
