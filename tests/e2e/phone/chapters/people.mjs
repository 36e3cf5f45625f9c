/** Following, finding and blocking one another. */
import { accountsOf, commentsOf, expect, expectRefused, expectSame, expectSentence, profileOf } from '../checks.mjs';
import { scrollTo } from '../run.mjs';
import { BARE_CAPTION, publishMore, SECOND_CAPTION, waitInFeed } from './media.mjs';

const FOLLOWING_SECONDS = 15;

const find = (accounts, phone) => accounts.find(({ username }) => username === phone.username);

async function expectFollowing(run, wanted) {
  const account = find(accountsOf(await run.bob.following()), run.alice);
  expectSame(account !== undefined, wanted, `${run.alice.username} among those bob follows:`);
  const profile = profileOf(await run.bob.userPosts(run.alice.username));
  expectSame(profile.is_following, wanted, 'profile.is_following');
  expectSame(profile.total_followers, wanted ? 1 : 0, 'profile.total_followers');
  return account;
}

export async function follows(run) {
  await run.step('follow is a toggle: on, off, on', async () => {
    await expectFollowing(run, false);
    for (const wanted of [true, false, true]) {
      await run.bob.toggleFollow(run.alice.username);
      await expectFollowing(run, wanted);
    }
    const account = await expectFollowing(run, true);
    expectSame(account.is_following, true, 'is_following');
    expectSame(account.num_followers, 1, 'num_followers');
    expectSame(account.total_likes, 1, 'total_likes');
    expectSame(account.total_posts, 1, 'total_posts');
  });
  await run.step('nobody follows themselves, or no one', async () => {
    await expectRefused(run.bob.toggleFollow(run.bob.username), [400], 'to follow oneself');
    await expectRefused(run.bob.toggleFollow(run.name('nobody')), [404], 'to follow nobody');
  });
}

export async function search(run) {
  await run.step('search finds by a part of the name', async () => {
    const found = find(accountsOf(await run.bob.search(run.alice.username.slice(0, -1))), run.alice);
    expect(found !== undefined, `${run.alice.username} among the accounts found`, found);
    expectSame(found.is_following, true, 'is_following');
    expectSame(found.total_posts, 1, 'total_posts');
    const stranger = find(accountsOf(await run.carol.search(run.alice.username)), run.alice);
    expectSame(stranger?.is_following, false, 'for carol, is_following');
  });
  await run.step('search takes any characters literally', async () => {
    for (const odd of ['no one + "nowhere" %_\\', '100%', '%', "o'x"]) {
      const accounts = accountsOf(await run.bob.search(odd));
      expectSame(find(accounts, run.alice), undefined, `alice found by ${odd}:`);
    }
  });
}

export async function followersFeed(run) {
  await run.step('the following feed has the followed and nobody else', async () => {
    await run.carol.toggleFollow(run.alice.username);
    await waitInFeed(run.carol, run.alice, run.first, true, FOLLOWING_SECONDS);
    const stranger = await scrollTo(run.carol, ({ user }) => user !== run.alice.username, true);
    expectSame(stranger, null, 'an item by someone carol does not follow:');
  });
}

export async function blocks(run) {
  await run.step('a block is answered with a sentence, the second one too', async () => {
    profileOf(await run.alice.userPosts(run.bob.username));
    const first = await run.bob.block(run.alice.username);
    expectSame(first.title, 'Success', 'the alert');
    expect(first.verbatim, 'a message in the answer', first);
    expectSentence(first.text, 'the alert');
    const second = await run.bob.block(run.alice.username);
    expect(second.verbatim, 'a message or an error in the answer to the second block', second);
    expectSentence(second.text, 'the alert');
    return { shown: [first.text, second.text] };
  });
  await run.step('nobody blocks themselves', async () => {
    const alert = await run.bob.block(run.bob.username);
    expectSame(alert.status, 400, 'status');
    expect(alert.verbatim, 'an error in the answer', alert);
    expectSentence(alert.text, 'the alert');
  });
  await publishMore(run);
}

/** Nothing of `other` reaches `phone`: profile, search, those followed, both feeds. */
export async function expectHidden(phone, other) {
  const name = other.username;
  await phone.userPosts(name).then(
    ({ data }) => expectSame(data.posts?.length, 0, `posts of ${name} shown to ${phone.username}:`),
    (error) => expect([403, 404].includes(error.response?.status), `the profile of ${name} not found`, error.message),
  );
  expectSame(find(accountsOf(await phone.search(name)), other), undefined, `${name} found by ${phone.username}:`);
  const followed = find(accountsOf(await phone.following()), other);
  expectSame(followed, undefined, `${name} among those ${phone.username} follows:`);
  for (const followersOnly of [false, true]) {
    const item = await scrollTo(phone, ({ user }) => user === name, followersOnly);
    expectSame(item, null, `a post of ${name} in the feed of ${phone.username} (followers_only=${followersOnly}):`);
  }
}

export async function blockedBothWays(run) {
  await run.step('carol, who blocked nobody, is shown the new posts of both', async () => {
    await waitInFeed(run.carol, run.alice, SECOND_CAPTION);
    run.second = profileOf(await run.carol.userPosts(run.alice.username)).posts.find(({ id }) => id !== run.first.id);
    expectSame(run.second?.description, SECOND_CAPTION.description, 'the second post on the profile:');
    await waitInFeed(run.carol, run.bob, BARE_CAPTION);
  });
  await run.step('nothing of alice reaches bob', () => expectHidden(run.bob, run.alice));
  await run.step('nothing of bob reaches alice', async () => {
    await expectHidden(run.alice, run.bob);
    expectSame(commentsOf(await run.alice.comments(run.first.id)).length, 0, 'comments by bob under alice\'s post:');
    expectSame(commentsOf(await run.carol.comments(run.first.id)).length, 1, 'comments by bob that carol reads:');
  });
  await run.step('bob cannot comment on what he cannot see', async () => {
    await expectRefused(run.bob.addComment(run.first.id, 'Hello again'), [403, 404], 'a comment across a block');
  });
}
