/**
 * The phone app's calls: same arguments, same order of decisions, same sentences on the screen.
 * A method answers what the screen would get; where the app reads an error, it answers the sentence shown.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { nativeFetch } from './rn_shim.mjs';

const TIMEOUT_MS = 5000;
export const BATCH_SIZE = 5;

/** The 22 routes of the mobile API. */
export const ROUTES = [
  'POST /auth/register/', 'POST /auth/login/', 'GET /auth/check_token/', 'GET /auth/logout/',
  'GET /media/get_feed/', 'GET /media/get_user_posts/', 'POST /media/upload_hls/', 'POST /media/upload/',
  'POST /media/post/', 'DELETE /media/delete_post/',
  'POST /post/like/', 'POST /post/get_comments/', 'POST /post/add_comment/',
  'POST /post/update_posts_engagement/', 'POST /post/report_video/',
  'POST /user/add_follower/', 'GET /user/get_followers/', 'GET /user/search/', 'POST /user/block_user/',
  'GET /user/get_preferences/', 'POST /user/reset_user_engagement/', 'DELETE /user/delete_account/',
];

/** axios as Metro bundles it: the browser build, not the one Node would choose. */
export function loadAxios() {
  const require = createRequire(import.meta.url);
  const root = path.dirname(require.resolve('axios/package.json'));
  const axios = require(path.join(root, 'dist', 'browser', 'axios.cjs'));
  if (axios.VERSION !== '1.9.0') throw new Error(`axios is ${axios.VERSION}; the app is built with 1.9.0`);
  return axios;
}

export class Phone {
  /** `native` is the shim's Native (its globals installed before `axios` was loaded); `base` ends in /api. */
  constructor(axios, native, base) {
    this.native = native;
    this.http = axios.create();
    this.http.defaults.baseURL = base;
    this.http.defaults.timeout = TIMEOUT_MS;
    this.http.defaults.headers.common['content-type'] = 'multipart/form-data';
    this.secureStore = new Map();
    this.username = null;
    this.met = []; // every feed item this phone was shown
  }

  get token() {
    return this.http.defaults.headers.common.Authorization?.replace(/^Token /, '') ?? null;
  }

  /** null takes the header away: axios drops it. */
  useToken(token) {
    this.http.defaults.headers.common.Authorization = token === null ? null : `Token ${token}`;
  }

  // ---- auth: each answers {screen, shown} ----

  async login(username, password) {
    try {
      const { data } = await this.http.post('/auth/login/', { username, password });
      if (!data.token) return { screen: 'login', shown: 'Network Error' };
      this.secureStore.set('user_token', data.token);
      this.useToken(data.token);
      this.username = username;
      return { screen: 'inside', shown: null };
    } catch (error) {
      return { screen: 'login', shown: loginSentence(error) };
    }
  }

  /** The app keeps the new token for this run only: it is not put in the secure store. */
  async register(username, email, password, phoneNumber) {
    try {
      const { data } = await this.http.post('/auth/register/', { username, email, password, phoneNumber });
      this.useToken(data.token);
      this.username = username;
      return { screen: 'inside', shown: null };
    } catch (error) {
      return { screen: 'register', shown: registerSentence(error) };
    }
  }

  /** What the app does when it is started again. */
  async splash() {
    const stored = this.secureStore.get('user_token');
    this.useToken(stored ?? null);
    if (stored === undefined) return { screen: 'login', username: null };
    try {
      const { data } = await this.checkToken();
      this.username = data.username;
      return { screen: 'inside', username: data.username };
    } catch (error) {
      if (!error.response) return { screen: 'retry', username: null };
      if (error.response.status === 401) this.secureStore.delete('user_token');
      return { screen: 'login', username: null };
    }
  }

  checkToken() {
    return this.http.get('/auth/check_token/');
  }

  async logout() {
    await this.http.get('/auth/logout/', {});
    this.useToken(null);
    this.secureStore.delete('user_token');
  }

  // ---- feed and media ----

  feed(excludeIds = [], followersOnly = false) {
    const params = { batch_size: BATCH_SIZE, exclude_ids: excludeIds, followers_only: followersOnly };
    return this.http.get('/media/get_feed/', { params });
  }

  /** '' means oneself. */
  userPosts(username = '') {
    return this.http.get('/media/get_user_posts/', { params: { username } });
  }

  uploadHls(baseName, files) {
    return this.http.post('/media/upload_hls/', { base_name: baseName, files, type: 'application/x-mpegURL' });
  }

  /** Not called by the app of today; the older one did, and the server's documentation names it. */
  uploadSingle(fileName, fileType) {
    return this.http.post('/media/upload/', { fileName, fileType });
  }

  async put(url, file, contentType) {
    const body = readFileSync(file);
    const headers = { 'Content-Type': contentType };
    const answer = await nativeFetch(this.native, url, { method: 'PUT', headers, body });
    if (!answer.ok) throw new UploadRefused(answer.text(), answer.status);
    return answer;
  }

  /** `asset` is what the picker gives: fileSize and duration (ms) may be null, and are then left out. */
  post(filePath, thumbnailPath, asset, description, tags) {
    return this.http.post('/media/post/', {
      file_path: filePath,
      thumbnail_path: thumbnailPath,
      file_size: asset.fileSize,
      length: asset.duration,
      width: asset.width,
      height: asset.height,
      description,
      tags: tags.join(','),
    });
  }

  /** The upload screen from the finished package to the post. `inspect` is shown the answer before it is used. */
  async publishPackage(folder, thumbnail, asset, { description, tags }, inspect) {
    const files = readdirSync(folder).filter((name) => name.endsWith('.m3u8') || name.endsWith('.ts'));
    const { data } = await this.uploadHls(asset.name, files);
    inspect(data, files);
    for (const file of files) {
      const type = file.endsWith('.m3u8') ? 'application/x-mpegURL' : 'video/MP2T';
      await this.put(data.upload_urls[file], path.join(folder, file), type);
    }
    await this.put(data.thumb_url, thumbnail, 'image/jpeg');
    await this.post(data.video_file_path, data.thumb_file_path, asset, description, tags);
  }

  async publishSingle(clip, thumbnail, asset, { description, tags }, inspect) {
    const { data } = await this.uploadSingle(asset.name, 'video/mp4');
    inspect(data);
    await this.put(data.video_url, clip, 'video/mp4');
    await this.put(data.thumb_url, thumbnail, 'image/jpeg');
    await this.post(data.video_file_path, data.thumb_file_path, asset, description, tags);
  }

  deletePost(videoId) {
    return this.http.delete('/media/delete_post/', { data: { video_id: videoId } });
  }

  // ---- posts ----

  like(videoId, like) {
    return this.http.post('/post/like/', { video_id: videoId, like });
  }

  comments(videoId) {
    return this.http.post('/post/get_comments/', { video_id: videoId });
  }

  /** As the server's documentation has it. */
  commentsByGet(videoId) {
    return this.http.get('/post/get_comments/', { params: { video_id: videoId } });
  }

  addComment(videoId, comment) {
    return this.http.post('/post/add_comment/', { video_id: videoId, comment });
  }

  engagement(stats) {
    return this.http.post('/post/update_posts_engagement/', stats, { headers: { 'Content-Type': 'application/json' } });
  }

  report(videoId, reason = 'Inappropriate content') {
    return alertFrom(this.http.post('/post/report_video/', { video_id: videoId, reason }),
      'Reported!', 'Failed to report video.');
  }

  // ---- people ----

  toggleFollow(username) {
    return this.http.post('/user/add_follower/', { username });
  }

  following() {
    return this.http.get('/user/get_followers/');
  }

  search(query) {
    return this.http.get('/user/search/', { params: { query } });
  }

  block(username) {
    return alertFrom(this.http.post('/user/block_user/', { username }), 'User blocked!', 'Failed to block user.');
  }

  preferences() {
    return this.http.get('user/get_preferences/');
  }

  resetEngagement() {
    return this.http.post('/user/reset_user_engagement/');
  }

  async deleteAccount() {
    await this.http.delete('/user/delete_account/');
    this.useToken(null);
    this.secureStore.delete('user_token');
  }
}

/** A PUT that was not answered with 2xx; the app shows the answer's text. */
export class UploadRefused extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

function loginSentence(error) {
  if (!error.response || error.message.includes('timeout')) return 'Network Error';
  const { data } = error.response;
  if (data.non_field_errors) return data.non_field_errors[0];
  if (data.username) return 'Username not specified';
  if (data.password) return 'Password not specified';
  return error.message;
}

function registerSentence(error) {
  if (!error.response) return 'Network Error';
  const { data } = error.response;
  if (data.non_field_errors) return data.non_field_errors[0];
  if (data.username) return 'Username not specified';
  if (data.email) {
    return data.email[0] === 'Enter a valid email address.' ? 'Invalid email address' : 'Email not specified';
  }
  if (data.password) return 'Password not specified';
  if (error.code === 'ERR_BAD_RESPONSE') return 'Account with username or email already exists';
  return error.message;
}

/** The two alerts that show the server's own words; `verbatim` says whether they did. */
async function alertFrom(call, plainSuccess, plainFailure) {
  try {
    const { data, status } = await call;
    return { title: 'Success', text: data?.message || plainSuccess, verbatim: Boolean(data?.message), status };
  } catch (error) {
    const words = error.response?.data?.error;
    return { title: 'Error', text: words || plainFailure, verbatim: Boolean(words), status: error.response?.status };
  }
}
