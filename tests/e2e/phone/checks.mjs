/** What the app needs of each answer, and the one way to fail. */

/** The contract was broken: what was expected, and what came. */
export class Violation extends Error {
  constructor(expected, got) {
    super(`expected ${expected}; got ${brief(got)}`);
    this.expected = expected;
    this.got = got;
  }
}

export function expect(holds, expected, got) {
  if (!holds) throw new Violation(expected, got);
}

export function expectSame(actual, wanted, what) {
  expect(Object.is(actual, wanted), `${what} ${brief(wanted)}`, actual);
}

/** The call must be refused with one of these statuses and a JSON object; answers the axios error. */
export async function expectRefused(call, statuses, what) {
  let answer;
  try {
    answer = await call;
  } catch (error) {
    if (!error.response) throw error;
    expect(statuses.includes(error.response.status), `${what}: status ${statuses.join(' or ')}`, error.response.status);
    expect(isObject(error.response.data), `${what}: a JSON object that says why`, error.response.data);
    return error;
  }
  throw new Violation(`${what}: status ${statuses.join(' or ')}`, `${answer.status} ${brief(answer.data)}`);
}

/** A sentence made for people: words and a space, no exception text, no markup, no axios default. */
export function expectSentence(text, where) {
  const readable = typeof text === 'string' && /^[\p{Lu}\p{N}\p{P}].*\s.*\p{L}/su.test(text) && text.length <= 300;
  expect(readable, `${where}: a readable sentence`, text);
  expect(!/Traceback|Exception|Error:|<html|Request failed with status code|sqlalchemy|psycopg/i.test(text),
    `${where}: no internals in the sentence`, text);
}

/**
 * Asks again every `everyMs` until `look` answers something other than null; fails after `seconds`.
 * `account` may add to the failure what the app would know by then.
 */
export async function eventually(what, seconds, look, account = async () => null, everyMs = 1000) {
  const deadline = Date.now() + seconds * 1000;
  let last = null;
  for (;;) {
    last = await look();
    if (last !== null) return last;
    if (Date.now() > deadline) throw new Violation(`${what} within ${seconds} s`, (await account()) ?? 'not so far');
    await new Promise((resolve) => { setTimeout(resolve, everyMs); });
  }
}

const kinds = {
  id: [(value) => Number.isSafeInteger(value) && value > 0, 'a whole number above 0'],
  count: [(value) => Number.isSafeInteger(value) && value >= 0, 'a whole number of at least 0'],
  amount: [(value) => Number.isFinite(value) && value >= 0, 'a number of at least 0'],
  score: [(value) => Number.isFinite(value) && value >= 0 && value <= 100, 'a number from 0 to 100'],
  text: [(value) => typeof value === 'string', 'a string'],
  name: [(value) => typeof value === 'string' && value !== '', 'a string that is not empty'],
  flag: [(value) => typeof value === 'boolean', 'true or false'],
  url: [(value) => typeof value === 'string' && /^https?:\/\/[^/]+\//.test(value), 'an absolute http(s) URL'],
};

const shapes = {
  feedItem: {
    id: 'id', user: 'name', link: 'url', description: 'text', likes: 'count', comments: 'count', liked: 'flag',
    interest_score: 'score', duration: 'amount',
  },
  profile: { username: 'name', total_likes: 'count', total_followers: 'count', is_following: 'flag' },
  profilePost: {
    id: 'id', user: 'name', link: 'url', thumbnail_link: 'url', views: 'count', description: 'text', likes: 'count',
    comments: 'count', liked: 'flag',
  },
  account: {
    username: 'name', num_followers: 'count', total_likes: 'count', total_posts: 'count', is_following: 'flag',
  },
  comment: { id: 'id', user: 'name', comment: 'name' },
};

function expectShape(value, shape, where) {
  expect(isObject(value), `${where}: an object`, value);
  for (const [field, kind] of Object.entries(shapes[shape])) {
    const [holds, meaning] = kinds[kind];
    expect(holds(value[field]), `${where}.${field}: ${meaning}`, field in value ? value[field] : 'no such field');
  }
  return value;
}

function expectList(value, shape, where) {
  expect(Array.isArray(value), `${where}: an array`, value);
  value.forEach((item, index) => expectShape(item, shape, `${where}[${index}]`));
  return value;
}

export function feedOf({ data }, batchSize) {
  expectList(data.feed, 'feedItem', 'feed');
  expect(data.feed.length <= batchSize, `feed: at most ${batchSize} items`, data.feed.length);
  return data.feed;
}

export function profileOf({ data }) {
  expectShape(data, 'profile', 'profile');
  expectList(data.posts, 'profilePost', 'posts');
  return data;
}

export const accountsOf = ({ data }) => expectList(data.accounts, 'account', 'accounts');
export const commentsOf = ({ data }) => expectList(data.comments, 'comment', 'comments');

/** label -> share: each from 0 to 1, together 1; `null` while there is none. */
export function preferencesOf({ data }) {
  expect(isObject(data), 'preferences: an object of label and share', data);
  const shares = Object.values(data);
  if (shares.length === 0) return null;
  for (const [label, share] of Object.entries(data)) {
    expect(Number.isFinite(share) && share >= 0 && share <= 1, `preferences[${label}]: a number from 0 to 1`, share);
    expect(label.replace(/\s*\(.*?\)\s*/g, '') !== '', 'preferences: a label outside the parentheses', label);
  }
  const sum = shares.reduce((total, share) => total + share, 0);
  expect(Math.abs(sum - 1) <= 1e-6, 'preferences: shares that sum to 1', sum);
  return data;
}

export function expectUploadAnswer(data, files) {
  expect(isObject(data.upload_urls), 'upload_urls: an object of file name and URL', data.upload_urls);
  expectSame(Object.keys(data.upload_urls).sort().join(), [...files].sort().join(), 'upload_urls: one for each of');
  for (const [field, value] of [...Object.entries(data.upload_urls), ['thumb_url', data.thumb_url]]) {
    expect(kinds.url[0](value), `${field}: ${kinds.url[1]}`, value);
  }
  expectUploadPaths(data);
}

export function expectSingleUploadAnswer(data) {
  for (const field of ['video_url', 'thumb_url']) {
    expect(kinds.url[0](data[field]), `${field}: ${kinds.url[1]}`, data[field]);
  }
  expectUploadPaths(data);
}

function expectUploadPaths(data) {
  for (const field of ['video_file_path', 'thumb_file_path']) {
    expect(kinds.name[0](data[field]), `${field}: ${kinds.name[1]}`, data[field]);
  }
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

export function brief(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? String(value);
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text;
}
