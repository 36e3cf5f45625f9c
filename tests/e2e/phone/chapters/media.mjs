/** From the picker to another person's screen. */
import { statSync } from 'node:fs';

import {
  eventually, expect, expectSame, expectSingleUploadAnswer, expectUploadAnswer, feedOf, preferencesOf, profileOf,
} from '../checks.mjs';
import { BATCH_SIZE } from '../client.mjs';
import { play, showPicture } from '../player.mjs';
import { meet } from '../run.mjs';

const READY_SECONDS = 60;
const CAPTION = { description: 'Ein Hafen bei Nacht, né? ☀️ & "more"', tags: ['harbour', 'night walk', 'été'] };

const says = (phone, caption) => (item) => item.user === phone.username && item.description === caption.description;

export async function emptyScreens(run) {
  await run.step('a new person meets a feed, and nobody they follow', async () => {
    feedOf(await run.bob.feed(), BATCH_SIZE);
    expectSame(feedOf(await run.bob.feed([], true), BATCH_SIZE).length, 0, 'items in the following feed');
  });
  await run.step('a new person has an empty profile and readable preferences', async () => {
    const profile = profileOf(await run.bob.userPosts());
    expectSame(profile.username, run.bob.username, 'profile.username');
    expectSame(profile.posts.length, 0, 'posts');
    preferencesOf(await run.bob.preferences());
  });
}

export async function publish(run) {
  const { folder, thumbnail, picked } = run.files;
  await run.step('alice uploads an HLS package and posts it', async () => {
    await run.alice.publishPackage(folder, thumbnail, picked, CAPTION, expectUploadAnswer);
  });
}

/** Waits until `viewer` is shown the post; answers the feed's item. */
export function waitInFeed(viewer, author, caption, followersOnly = false, seconds = READY_SECONDS) {
  return eventually(`the post of ${author.username} in the feed of ${viewer.username}`, seconds,
    () => meet(viewer, says(author, caption), followersOnly),
    async () => ({ 'the author sees': (await author.userPosts()).data }));
}

export async function meetInTheFeed(run) {
  await run.step('the post comes up in bob\'s feed', async () => {
    run.first = await waitInFeed(run.bob, run.alice, CAPTION);
    const { duration, likes, comments, liked } = run.first;
    const posted = run.files.picked.duration;
    expect(Math.abs(duration - posted) <= 1000, `duration: ${posted} (milliseconds), to a second`, duration);
    expectSame(likes, 0, 'likes');
    expectSame(comments, 0, 'comments');
    expectSame(liked, false, 'liked');
    return { id: run.first.id };
  });
  await run.step('a feed that is told to leave it out leaves it out', async () => {
    const items = feedOf(await run.bob.feed([run.first.id, run.first.id + 1_000_000]), BATCH_SIZE);
    expect(items.every(({ id }) => id !== run.first.id), `no item ${run.first.id}`, items);
  });
}

export async function playback(run) {
  await run.step('bob plays it', async () => {
    run.watched = await play(run.native, run.first.link, run.files.picked.duration);
    return run.watched;
  });
  await run.step('the profile grid shows its picture', async () => {
    const post = profileOf(await run.bob.userPosts(run.alice.username)).posts.find(({ id }) => id === run.first.id);
    expect(post !== undefined, `post ${run.first.id} on the profile`, post);
    await showPicture(run.native, post.thumbnail_link);
    run.watched.thumbnailUrl = post.thumbnail_link;
  });
}

export const SECOND_CAPTION = { description: 'A second one, as a single file', tags: ['file'] };
export const BARE_CAPTION = { description: '', tags: [] };

/** Alice by the single-file route; bob a package of which the picker told neither size nor length. */
export async function publishMore(run) {
  const { folder, clip, thumbnail, picked } = run.files;
  await run.step('alice uploads a single file and posts it', async () => {
    const single = { ...picked, name: 'IMG_2.mp4', fileSize: statSync(clip).size };
    await run.alice.publishSingle(clip, thumbnail, single, SECOND_CAPTION, expectSingleUploadAnswer);
  });
  await run.step('bob posts without caption, tags, file size and length', async () => {
    const bare = { ...picked, name: 'Été (1)', fileSize: null, duration: null };
    await run.bob.publishPackage(folder, thumbnail, bare, BARE_CAPTION, expectUploadAnswer);
  });
}
