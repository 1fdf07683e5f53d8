"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    # Built when first used: one validator for all settings, not one for every section.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
