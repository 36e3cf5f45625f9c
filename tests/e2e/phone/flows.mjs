/**
 * The whole story of three people and their phones, told to a running platform:
 *   node flows.mjs --base http://127.0.0.1:PORT/api --style android|ios --hls-package DIR --clip FILE --thumbnail FILE
 * One JSON line for each step and a summary; exits with 1 at the first thing the app could not live with.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import * as accounts from './chapters/accounts.mjs';
import * as leaving from './chapters/leaving.mjs';
import * as media from './chapters/media.mjs';
import * as people from './chapters/people.mjs';
import * as posts from './chapters/posts.mjs';
import { loadAxios } from './client.mjs';
import { installGlobals, Native } from './rn_shim.mjs';
import { Run } from './run.mjs';

const OPTIONS = ['base', 'style', 'hls-package', 'clip', 'thumbnail'];
const CHAPTERS = [
  accounts.register, accounts.login, accounts.others,
  media.emptyScreens, media.publish, media.meetInTheFeed, media.playback,
  posts.profiles, posts.likes, posts.comments, posts.engagement, posts.reports,
  people.follows, people.search, people.followersFeed, people.blocks, people.blockedBothWays,
  leaving.reset, leaving.deletePost, leaving.logout, leaving.deleteAccount,
];

function options() {
  const { values } = parseArgs({ options: Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' }])) });
  const missing = OPTIONS.filter((name) => !values[name]);
  if (missing.length > 0) throw new Error(`missing: ${missing.map((name) => `--${name}`).join(' ')}`);
  return values;
}

/** What the picker tells of the two videos: bytes, milliseconds with a fraction, the size in pixels. */
function assets(values) {
  const folder = values['hls-package'];
  const playlist = readFileSync(path.join(folder, 'playlist.m3u8'), 'utf8');
  const lengths = [...playlist.matchAll(/^#EXTINF:([\d.]+)/gm)].map(([, seconds]) => Number(seconds));
  const duration = lengths.reduce((total, seconds) => total + seconds, 0) * 1000 + 0.5;
  const fileSize = readdirSync(folder).reduce((total, name) => total + statSync(path.join(folder, name)).size, 0);
  return {
    folder,
    clip: values.clip,
    thumbnail: values.thumbnail,
    picked: { name: 'IMG_1', fileSize, duration, width: 360, height: 640 },
  };
}

const values = options();
const native = new Native(values.style);
installGlobals(native);
const run = new Run({
  axios: loadAxios(),
  native,
  base: values.base.replace(/\/$/, ''),
  suffix: randomBytes(4).toString('hex'),
  files: assets(values),
});
try {
  for (const chapter of CHAPTERS) await chapter(run);
  await run.step('every route was used', async () => ({ routes: run.expectEveryRoute() }));
} catch (error) {
  process.exitCode = 1;
  if (!run.failed) throw error;
} finally {
  run.summary(values.style);
  native.close();
}
