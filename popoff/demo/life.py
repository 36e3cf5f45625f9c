"""What people do: they follow, watch, like and talk, on each day until today."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from popoff.accounts.models import User
from popoff.demo import clips
from popoff.demo.past import OPENING, on
from popoff.demo.people import CREATORS, VIEWERS
from popoff.feed import service as feed
from popoff.media.models import Post
from popoff.moderation import service as moderation
from popoff.social import service as social

_SEED = 20


def go_on(people: Mapping[str, User], posts: Sequence[Post]) -> None:
    """Tastes with a little chance, the same in every demo."""
    dice = random.Random(_SEED)  # noqa: S311 - a demo, not a secret
    for name in (*VIEWERS, *CREATORS):
        for creator in dice.sample([c for c in CREATORS if c != name], 2):
            social.follow(people[name].id, creator, True)
        for post in posts:
            if post.user_id != people[name].id and dice.random() < 0.6:
                with on(dice.randrange(OPENING - 1), dice.uniform(7, 23)):
                    _watch(people[name].id, post, dice)
    if posts:
        _talk(people, posts[0], posts[-1])


def _watch(user_id: int, post: Post, dice: random.Random) -> None:
    seconds = dice.uniform(1, clips.SECONDS)
    liked = seconds > clips.SECONDS / 2
    counted = social.record_view(user_id, post.id, seconds)
    if liked:
        social.set_like(user_id, post.id, True)
    feed.learn(user_id, post.id, watch_ms=counted, liked=liked)


def _talk(people: Mapping[str, User], first: Post, last: Post) -> None:
    social.add_comment(people["eve"].id, first.id, "I could watch this for hours")
    social.add_comment(people["farid"].id, first.id, "What is the formula?")
    social.add_comment(people["gus"].id, last.id, "My stripes are crooked")
    moderation.report_post(people["gus"].id, last.id, "Flashing colours without a warning")
