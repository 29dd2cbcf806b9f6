"""River networks: read from national datasets or generated, checked, ordered, cut into pieces."""

from dmg.data.network.gauges import describe_matches, match_gauges, with_gauges
from dmg.data.network.graph import accumulate, first_below, levels, outlets
from dmg.data.network.model import Network
from dmg.data.network.partition import Piece, pieces, subnetwork, units_of, upstream_of
from dmg.data.network.sources import SOURCES, convert, describe, read_network, read_tables
from dmg.data.network.synthetic import generate
from dmg.data.network.tables import Tables, assemble
from dmg.data.network.validate import Problems, find_problems

__all__ = [
    "SOURCES",
    "Network",
    "Piece",
    "Problems",
    "Tables",
    "accumulate",
    "assemble",
    "convert",
    "describe",
    "describe_matches",
    "find_problems",
    "first_below",
    "generate",
    "levels",
    "match_gauges",
    "outlets",
    "pieces",
    "read_network",
    "read_tables",
    "subnetwork",
    "units_of",
    "upstream_of",
    "with_gauges",
]
