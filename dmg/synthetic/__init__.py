"""Synthetic data with a known truth: a CAMELS-US tree from a weather generator and a known HBV."""

from dmg.synthetic.twin import generate

__all__ = ["generate"]
