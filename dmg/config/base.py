"""What all sections share: frozen values, unknown keys refused."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Period(Section):
    """A closed range of days."""

    start: dt.date = Field(description="First day, ISO-8601")
    end: dt.date = Field(description="Last day, included, ISO-8601")

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.end < self.start:
            raise ValueError(f"period ends ({self.end}) before it starts ({self.start})")
        return self
