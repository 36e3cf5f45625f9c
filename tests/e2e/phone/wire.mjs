/** Sends the requests whose bytes are laid down in the contract, with its values: wire.mjs --base URL --style STYLE. */
import { parseArgs } from 'node:util';

import { loadAxios, Phone } from './client.mjs';
import { installGlobals, Native } from './rn_shim.mjs';

const { values } = parseArgs({ options: { base: { type: 'string' }, style: { type: 'string' } } });
const native = new Native(values.style);
installGlobals(native);
const phone = new Phone(loadAxios(), native, values.base);

await phone.register('alice', 'a@x.io', 'pw', '');
phone.useToken('0123456789abcdef0123456789abcdef01234567');
await phone.feed([11, 42], true);
await phone.feed();
await phone.uploadHls('IMG_1', ['playlist.m3u8', 'segment_000.ts', 'segment_001.ts']);
await phone.post('v', 't', { fileSize: null, duration: 15234.5, width: 360, height: 640 }, 'Grüße\n☀️', []);
await phone.deletePost(42);
await phone.like(42, true);
await phone.engagement({
  video_id: 42, watch_time: 3.2000000000000006, liked: true, commented: false, viewed_comments: false,
});
await phone.toggleFollow('bob');
await phone.search('al ice+x');
await phone.userPosts();
await phone.preferences();
await phone.resetEngagement();
await phone.deleteAccount();
await phone.checkToken();
native.close();
