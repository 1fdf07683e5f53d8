"""Where a speaker's dialect is taken from: what the source says, or else the region of the district it names.

A district says where a person lives, not how they speak, so it is a proxy, and gold marks it in `label_source`.
"""

from __future__ import annotations

from data_foundry.engines.spec import Kind, Row

DECLARED = "declared"
DISTRICT_PROXY = "district proxy"

# The fourteen districts of Kerala by the princely state or district of Madras they mostly belonged to before 1956,
# with older and English spellings.
REGIONS: dict[str, tuple[str, ...]] = {
    "travancore": (
        "thiruvananthapuram", "trivandrum", "kollam", "quilon", "pathanamthitta", "alappuzha", "alleppey", "kottayam",
        "idukki",
    ),
    "cochin": ("ernakulam", "kochi", "thrissur", "trichur"),
    "malabar": (
        "palakkad", "palghat", "malappuram", "kozhikode", "calicut", "wayanad", "wynad", "kannur", "cannanore",
        "kasaragod", "kasargod",
    ),
}  # fmt: skip
_REGION_OF = {name: region for region, names in REGIONS.items() for name in (region, *names)}

# What `with_region` derives, and from which silver columns.
REGION_COLUMNS: dict[str, Kind] = {"dialect": "string", "label_source": "string"}
REGION_SOURCES = ("dialect", "district")


def region_of(district: str | None) -> str | None:
    """Return the region (travancore, cochin or malabar) of a district of Kerala or of a region's own name, or None.

    Case, spaces at the ends and a trailing "district" do not matter.
    """
    return _REGION_OF.get((district or "").strip().casefold().removesuffix("district").strip())


def with_region(row: Row) -> Row:
    """Return `dialect` and `label_source` of a silver row: as declared, or else the region of the district."""
    if row["dialect"]:
        region, source = region_of(row["dialect"]), DECLARED
    else:
        region, source = region_of(row["district"]), DISTRICT_PROXY
    return {"dialect": region, "label_source": source if region else None}
