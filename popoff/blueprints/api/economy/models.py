"""People in the descriptions of answers."""

from __future__ import annotations

from pydantic import BaseModel, Field


class PublicPerson(BaseModel):
    id: str = Field(description="Tells nothing but who it is.")
    name: str
    username: str
    role: str = Field(description="CONSUMER, CREATOR, MODERATOR or ADMIN.")
    averageContentEngagement: float = Field(description="0 to 100, over public posts that have scores; 0 without.")  # noqa: N815
    averageContentQuality: float = Field(description="0 to 100, over public posts that have scores; 0 without.")  # noqa: N815
    createdAt: str  # noqa: N815


class Person(PublicPerson):
    email: str | None = Field(None, description="Of yourself; admins see everybody's.")
    walletBalance: float | None = Field(None, description="What you can spend. Nobody sees another's.")  # noqa: N815
    updatedAt: str | None = Field(None, description="Of yourself; admins see everybody's.")  # noqa: N815
