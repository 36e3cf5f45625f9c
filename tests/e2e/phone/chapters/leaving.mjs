/** Taking back: what was learnt, a post, a session, an account. */
import { eventually, expect, expectRefused, expectSame, preferencesOf, profileOf } from '../checks.mjs';
import { statusOf } from '../player.mjs';
import { scrollTo } from '../run.mjs';
import { signInAgain } from './accounts.mjs';
import { expectHidden } from './people.mjs';

const GONE_SECONDS = 30;
const GONE = [403, 404, 410];

export async function reset(run) {
  await run.step('reset, with no body', async () => {
    const { status } = await run.bob.resetEngagement();
    preferencesOf(await run.bob.preferences());
    return { status };
  });
}

export async function deletePost(run) {
  const { id, link } = run.first;
  await run.step('nobody deletes another\'s post', async () => {
    await expectRefused(run.carol.deletePost(id), [403, 404], 'deleting another\'s post');
    expectSame(await statusOf(run.native, link), 200, 'the link still answers');
  });
  await run.step('alice deletes her post', async () => {
    await run.alice.deletePost(id);
    for (const [viewer, name] of [[run.alice, ''], [run.carol, run.alice.username]]) {
      const { posts } = profileOf(await viewer.userPosts(name));
      expect(posts.every((post) => post.id !== id), `post ${id} no longer on the profile`, posts);
    }
    expectSame(await scrollTo(run.carol, (item) => item.id === id), null, 'the post in carol\'s feed:');
    await expectRefused(run.carol.like(id, true), [404], 'a like for a deleted post');
    await expectRefused(run.alice.deletePost(id), [404], 'deleting it twice');
  });
  await run.step('its link, its segments and its picture are gone', async () => {
    const urls = [link, run.watched.playlistUrl, run.watched.segmentUrl, run.watched.thumbnailUrl];
    for (const url of urls) {
      await eventually(`${url} answered with ${GONE.join(', ')}`, GONE_SECONDS,
        async () => (GONE.includes(await statusOf(run.native, url)) ? true : null));
    }
    expectSame(await statusOf(run.native, run.second.link), 200, 'the other post\'s link still answers');
  });
}

/** The token is worth nothing any more. */
async function expectDead(run, token) {
  const phone = run.phone();
  phone.useToken(token);
  await expectRefused(phone.checkToken(), [401], 'check_token with the old token');
  await expectRefused(phone.feed(), [401], 'the feed with the old token');
}

export async function logout(run) {
  await run.step('logout ends the session and nothing else', async () => {
    const { token, username } = run.bob;
    await run.bob.logout();
    expectSame((await run.bob.splash()).screen, 'login', 'the screen');
    await expectDead(run, token);
    await signInAgain(run.bob, username);
  });
}

export async function deleteAccount(run) {
  await run.step('alice deletes her account: her token dies and she is gone from the others', async () => {
    const { token } = run.alice;
    await run.alice.deleteAccount();
    await expectDead(run, token);
    await expectHidden(run.carol, run.alice);
  });
  await run.step('the others delete theirs', async () => {
    for (const phone of [run.bob, run.carol]) {
      const { token } = phone;
      await phone.deleteAccount();
      await expectDead(run, token);
    }
  });
}
