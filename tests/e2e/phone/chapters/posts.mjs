/** What a viewer does with a post. */
import {
  commentsOf, eventually, expect, expectRefused, expectSame, expectSentence, preferencesOf, profileOf,
} from '../checks.mjs';

const COUNTED_SECONDS = 15;
const LEARNT_SECONDS = 30;
const NO_SUCH_VIDEO = 999_999_999;

/** The first post as `viewer` finds it on alice's profile. */
async function onProfile(run, viewer) {
  const post = profileOf(await viewer.userPosts(run.alice.username)).posts.find(({ id }) => id === run.first.id);
  expect(post !== undefined, `post ${run.first.id} on the profile of ${run.alice.username}`, post);
  return post;
}

export async function profiles(run) {
  await run.step('a profile by name, and one\'s own by no name', async () => {
    const seen = profileOf(await run.bob.userPosts(run.alice.username));
    expectSame(seen.username, run.alice.username, 'profile.username');
    expectSame(seen.is_following, false, 'is_following');
    expectSame(seen.total_followers, 0, 'total_followers');
    expectSame(seen.total_likes, 0, 'total_likes');
    const own = profileOf(await run.alice.userPosts());
    expectSame(own.username, run.alice.username, 'profile.username of one\'s own');
    expectSame(own.posts.map(({ id }) => id).join(), String(run.first.id), 'one\'s own posts');
    await expectRefused(run.bob.userPosts(run.name('nobody')), [404], 'the profile of nobody');
  });
}

export async function likes(run) {
  await run.step('a like sets a state, whatever it was', async () => {
    for (const [like, count] of [[false, 0], [true, 1], [true, 1], [false, 0], [false, 0], [true, 1]]) {
      await run.bob.like(run.first.id, like);
      const post = await onProfile(run, run.bob);
      expectSame(post.likes, count, `likes after like=${like}:`);
      expectSame(post.liked, like, `liked after like=${like}:`);
    }
  });
  await run.step('a like is counted for all and shown as one\'s own to one', async () => {
    const post = await onProfile(run, run.carol);
    expectSame(post.likes, 1, 'likes');
    expectSame(post.liked, false, 'liked, for carol:');
    expectSame(profileOf(await run.alice.userPosts()).total_likes, 1, 'total_likes');
    await expectRefused(run.bob.like(NO_SUCH_VIDEO, true), [404], 'a like for no video');
  });
}

export async function comments(run) {
  const text = 'Schön! 🌅\nWhere is "it"? <b>&';
  await run.step('a comment is kept to the letter, by POST and by GET', async () => {
    await run.bob.addComment(run.first.id, text);
    const listed = commentsOf(await run.alice.comments(run.first.id));
    expectSame(listed.length, 1, 'comments');
    expectSame(listed[0].comment, text, 'the comment');
    expectSame(listed[0].user, run.bob.username, 'its author');
    const byGet = commentsOf(await run.alice.commentsByGet(run.first.id));
    expectSame(JSON.stringify(byGet), JSON.stringify(listed), 'the same list by GET:');
  });
  await run.step('a blank comment is refused and not counted', async () => {
    for (const blank of ['', ' \n\t ']) {
      await expectRefused(run.bob.addComment(run.first.id, blank), [400], 'a blank comment');
    }
    expectSame((await onProfile(run, run.bob)).comments, 1, 'comments on the profile');
    expectSame(commentsOf(await run.bob.comments(run.first.id)).length, 1, 'comments');
  });
}

export async function engagement(run) {
  const stats = {
    video_id: run.first.id, watch_time: 3.2000000000000006, liked: true, commented: true, viewed_comments: true,
  };
  const viewed = async () => ((await onProfile(run, run.bob)).views === 0 ? null : true);
  await run.step('what was watched is a view', async () => {
    expectSame((await onProfile(run, run.bob)).views, 0, 'views before');
    await run.bob.engagement(stats);
    await eventually('a view on the profile', COUNTED_SECONDS, viewed);
    expectSame((await onProfile(run, run.bob)).views, 1, 'views');
  });
  await run.step('the same watched again is no second view', async () => {
    await run.bob.engagement(stats);
    expectSame((await onProfile(run, run.bob)).views, 1, 'views');
  });
  await run.step('the preferences know of it and sum to 1', async () => {
    const learnt = async () => preferencesOf(await run.bob.preferences());
    return { preferences: await eventually('a preference learnt', LEARNT_SECONDS, learnt) };
  });
}

export async function reports(run) {
  await run.step('a report is answered with a sentence, the second one too', async () => {
    const first = await run.bob.report(run.first.id);
    expectSame(first.title, 'Success', 'the alert');
    expect(first.verbatim, 'a message in the answer', first);
    expectSentence(first.text, 'the alert');
    const second = await run.bob.report(run.first.id);
    expect(second.verbatim, 'a message or an error in the answer to the second report', second);
    expectSentence(second.text, 'the alert');
    await onProfile(run, run.carol); // two reports by one person do not hide a post
    return { shown: [first.text, second.text] };
  });
  await run.step('a report of no video is refused with a sentence', async () => {
    const alert = await run.bob.report(NO_SUCH_VIDEO);
    expectSame(alert.status, 404, 'status');
    expect(alert.verbatim, 'an error in the answer', alert);
    expectSentence(alert.text, 'the alert');
  });
}
