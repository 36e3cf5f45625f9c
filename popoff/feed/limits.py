"""What limits a post just now, told to who made it. Pure.

Nothing here depends on what single people did: who blocked or muted somebody is their own business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from popoff.media import failures
from popoff.media.rules import Stage, Visibility


@dataclass(frozen=True, slots=True)
class State:
    """Where a post stands. `failure`: the code of a failed one; `elsewhere`: its film is kept elsewhere; `indexed`:
    the feed read its words; `has_words`: it found some; `suspended_until`: its author, None when they are not."""

    stage: Stage
    failure: str | None
    visibility: Visibility
    playable: bool
    elsewhere: bool
    indexed: bool
    has_words: bool
    suspended_until: datetime | None
    leaving: bool


@dataclass(frozen=True, slots=True)
class Audience:
    """The first audience that a post is promised: how many impressions, how many it had, and if more are owed."""

    promised: int
    given: int
    owed: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A stable code for programs and a sentence for the creator."""

    code: str
    sentence: str


def limits(state: State, audience: Audience) -> list[Limit]:
    """What keeps the post from people, the gravest first. What nobody can be shown at all is not said to be new."""
    found = [*_of_author(state), *_of_visibility(state), *_of_film(state)]
    if not found and audience.owed:
        told = f"shown to its first {audience.promised} people; {audience.given} have seen it"
        found.append(Limit("first_audience", f"It is new and being {told}. How they like it decides who is next."))
    if state.playable:
        found += _of_words(state)
    return found


def _of_author(state: State) -> list[Limit]:
    if state.suspended_until is not None:
        day = f"{state.suspended_until:%d %B %Y}".lstrip("0")
        return [Limit("author_suspended", f"The account is suspended until {day}. Its posts are not shown until then.")]
    if state.leaving:
        return [Limit("author_leaving", "The account is being deleted. Its posts are not shown.")]
    return []


def _of_visibility(state: State) -> list[Limit]:
    return {
        Visibility.PUBLIC: [],
        Visibility.HIDDEN: [Limit("hidden", "It was reported and is hidden until a moderator has looked at it.")],
        Visibility.REMOVED: [Limit("removed", "A moderator removed it. Nobody is shown it.")],
    }[state.visibility]


def _of_film(state: State) -> list[Limit]:
    if state.playable:
        return []
    if state.elsewhere:
        return [Limit("kept_elsewhere", "Its film is kept elsewhere. The feed shows what can be played here.")]
    if state.stage is Stage.FAILED:
        return [Limit("failed", f"It could not be made ready. {failures.sentence(state.failure or '')}")]
    return [Limit("not_playable", "It is being made ready and will be shown as soon as it can be played.")]


def _of_words(state: State) -> list[Limit]:
    if not state.indexed:
        return [Limit("not_read", "Its words are being read. Until then it is not matched to what people like.")]
    if not state.has_words:
        told = "Its caption, tags and speech say too little to match it to what people like. A caption helps."
        return [Limit("no_words", told)]
    return []
