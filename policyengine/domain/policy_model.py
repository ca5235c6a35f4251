"""What the models of the policy file have in common, and whom a version is for; they are domain.policy's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StrictInt, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from policyengine.domain.policy_types import Name, fault
from policyengine.domain.remedies import without_null

SHADOW, CANARY = "shadow", "canary"  # how a version is tried


class Model(BaseModel):
    """Unknown keys are errors; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """An absent key is left out of a file, never written as null."""
        return without_null(handler(core_schema))


class Customers(Model):
    """A share of the customers by a stable hash, in hundredths: half-open [from, until)."""

    group: Name = Field(description="the draw: versions of one group divide the same hundred parts")
    from_: Annotated[StrictInt, Field(ge=0, le=99)] = Field(
        0, alias="from", description="first hundredth that it is for"
    )
    until: Annotated[StrictInt, Field(ge=1, le=100)] = Field(description="first that it is not for")

    @model_validator(mode="after")
    def _somebody(self) -> Customers:
        if self.until <= self.from_:
            text = "`until` is not after `from`: it would be for nobody"
            raise fault("PE053", text, "the share is half-open: [from, until)", at="until")
        return self
