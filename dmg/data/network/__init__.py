"""River networks: read from national datasets or generated, checked, ordered, cut into pieces."""

from dmg.data.network.graph import accumulate, levels, outlets
from dmg.data.network.model import Network
from dmg.data.network.partition import Piece, pieces, subnetwork, units_of, upstream_of
from dmg.data.network.synthetic import generate
from dmg.data.network.tables import Tables, assemble
from dmg.data.network.validate import Problems, find_problems

__all__ = [
    "Network",
    "Piece",
    "Problems",
    "Tables",
    "accumulate",
    "assemble",
    "find_problems",
    "generate",
    "levels",
    "outlets",
    "pieces",
    "subnetwork",
    "units_of",
    "upstream_of",
]
