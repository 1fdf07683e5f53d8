"""Where a speaker's dialect is taken from: what the source says, or else the region of the district it names.

A district says where a person lives, not how they speak, so it is a proxy, and gold marks it in `label_source`.
"""

from __future__ import annotations

from data_foundry.engines.spec import Kind, Row

DECLARED = "declared"
DISTRICT_PROXY = "district proxy"

# The fourteen districts of Kerala, as silver spells them, by the region that their speech is usually counted to. That
# is coarser than history and than speech: five of Ernakulam's seven taluks were Travancore's, and Kasaragod was South
# Canara's, no part of Malabar; Thrissur's speech is a kind of its own, and Palakkad's and Kasaragod's border on Tamil,
# and on Kannada and Tulu.
REGIONS: dict[str, tuple[str, ...]] = {
    "travancore": ("Thiruvananthapuram", "Kollam", "Pathanamthitta", "Alappuzha", "Kottayam", "Idukki"),
    "cochin": ("Ernakulam", "Thrissur"),
    "malabar": ("Palakkad", "Malappuram", "Kozhikode", "Wayanad", "Kannur", "Kasaragod"),
}
_REGION_OF = {district: region for region, districts in REGIONS.items() for district in districts}

# What `with_region` derives, and from which silver columns.
REGION_COLUMNS: dict[str, Kind] = {"dialect": "string", "label_source": "string"}
REGION_SOURCES = ("dialect", "district")


def region_of(district: str | None) -> str | None:
    """Return the region (travancore, cochin or malabar) of a district as silver spells it, None for any other place."""
    return None if district is None else _REGION_OF.get(district)


def with_region(row: Row) -> Row:
    """Return `dialect` and `label_source` of a silver row: as declared, or else the region of the district."""
    if row["dialect"]:
        region, source = row["dialect"] if row["dialect"] in REGIONS else None, DECLARED
    else:
        region, source = region_of(row["district"]), DISTRICT_PROXY
    return {"dialect": region, "label_source": source if region else None}
