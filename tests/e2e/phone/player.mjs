/** What the phone's player asks for when it is given a post's link: no Authorization, plain bytes, ranges. */
import { expect, expectSame } from './checks.mjs';
import { nativeFetch } from './rn_shim.mjs';

const PLAYLIST_TYPES = /^(application\/(vnd\.apple\.mpegurl|x-mpegurl)|audio\/(x-)?mpegurl)\b/i;
const TS_SYNC = 0x47;
const TS_PACKET = 188;

/** Plays far enough to know that it plays. Answers the URLs that were read; `durationMs` is what was posted. */
export async function play(native, link, durationMs) {
  expect(new URL(link).pathname.endsWith('.m3u8'),
    'a link whose path ends in .m3u8 (Android\'s player knows HLS by that)', link);
  const master = await playlist(native, link);
  const renditions = tagged(master.lines, '#EXT-X-STREAM-INF:');
  expect(renditions.length > 0, 'a master playlist with #EXT-X-STREAM-INF', master.text);
  let read = null;
  for (const { uri, attributes } of renditions) {
    expect(/BANDWIDTH=\d+/.test(attributes), 'a BANDWIDTH for each rendition', attributes);
    read = await rendition(native, new URL(uri, master.url).href, durationMs);
  }
  return { link, renditions: renditions.length, ...read };
}

/** A thumbnail as the profile grid shows it. */
export async function showPicture(native, url) {
  const { bytes } = await get(native, url, 200);
  const head = bytes.subarray(0, 12).toString('latin1');
  expect(/^(\xff\xd8\xff|\x89PNG|RIFF....WEBP)/s.test(head), 'a JPEG, PNG or WebP picture', head);
}

export async function statusOf(native, url) {
  return (await nativeFetch(native, url, { headers: playerHeaders() })).status;
}

async function rendition(native, url, durationMs) {
  const { lines, text, url: base } = await playlist(native, url);
  expect(lines.includes('#EXT-X-ENDLIST'), 'a finished rendition playlist (#EXT-X-ENDLIST)', text);
  const segments = tagged(lines, '#EXTINF:');
  expect(segments.length > 0, 'a rendition playlist with segments', text);
  const seconds = segments.reduce((total, { attributes }) => total + Number.parseFloat(attributes), 0);
  expect(Math.abs(seconds * 1000 - durationMs) <= 1000, `segments that last ${durationMs} ms in all, to a second`,
    `${seconds * 1000} ms`);
  const map = lines.find((line) => line.startsWith('#EXT-X-MAP:'));
  const initUrl = map ? new URL(/URI="([^"]+)"/.exec(map)[1], base).href : null;
  if (initUrl) expectBox((await get(native, initUrl, 200)).bytes, ['ftyp'], 'the init segment');
  const segmentUrl = new URL(segments[0].uri, base).href;
  const { bytes } = await get(native, segmentUrl, 200);
  if (initUrl) expectBox(bytes, ['styp', 'sidx', 'moof', 'prft', 'emsg'], 'a segment');
  else expectPackets(bytes);
  await ranges(native, segmentUrl, bytes);
  return { playlistUrl: url, initUrl, segmentUrl };
}

async function ranges(native, url, whole) {
  for (const [first, last] of [[0, 1], [100, 299]]) {
    const answer = await get(native, url, 206, { range: `bytes=${first}-${last}` });
    expectSame(answer.header('content-range'), `bytes ${first}-${last}/${whole.length}`, 'Content-Range');
    expect(answer.bytes.equals(whole.subarray(first, last + 1)), `bytes ${first} to ${last} of the segment`,
      `${answer.bytes.length} other bytes`);
  }
}

async function playlist(native, url) {
  const answer = await get(native, url, 200);
  expect(PLAYLIST_TYPES.test(answer.header('content-type') ?? ''), 'Content-Type of a playlist',
    answer.header('content-type'));
  const text = answer.text();
  const lines = text.split(/\r?\n/);
  expectSame(lines[0], '#EXTM3U', 'the first line of a playlist');
  return { text, lines, url: answer.url };
}

/** The tags of one kind, each with the URI on the next line that is none. */
function tagged(lines, tag) {
  return lines.flatMap((line, index) => {
    if (!line.startsWith(tag)) return [];
    const uri = lines.slice(index + 1).find((next) => next !== '' && !next.startsWith('#'));
    expect(uri !== undefined, `a URI after ${line}`, 'none');
    return [{ attributes: line.slice(tag.length), uri }];
  });
}

async function get(native, url, status, extra = {}) {
  const answer = await nativeFetch(native, url, { headers: { ...playerHeaders(), ...extra } });
  expectSame(answer.status, status, `GET ${url}: status`);
  expect(answer.bytes.length > 0, `GET ${url}: some bytes`, 'an empty body');
  return answer;
}

function playerHeaders() {
  return { 'accept-encoding': 'identity' };
}

function expectBox(bytes, kinds, what) {
  const kind = bytes.subarray(4, 8).toString('latin1');
  const whole = bytes.length >= 8 && bytes.readUInt32BE(0) <= bytes.length;
  expect(whole && kinds.includes(kind), `${what} that begins with a whole MP4 box (${kinds.join(', ')})`, kind);
}

function expectPackets(bytes) {
  const head = bytes.subarray(0, 8).toString('hex');
  expect(bytes[0] === TS_SYNC && bytes[TS_PACKET] === TS_SYNC, 'a segment of MPEG-TS packets', head);
}
