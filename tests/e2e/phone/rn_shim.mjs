/**
 * React Native 0.76's networking under Node: the globals axios meets on a phone, and below them the two
 * native stacks (OkHttp on Android, NSURLSession on iOS) as far as their bytes can be told apart.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { gunzipSync, inflateSync } from 'node:zlib';

const CRLF = '\r\n';
const MAX_REDIRECTS = 20;
const IOS_BOUNDARY_LENGTH = 70;
const IOS_BOUNDARY_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.';

/** What differs between the phones: the boundary, the part headers, the query, the headers the system adds. */
const STYLES = {
  android: {
    boundary: () => randomUUID(),
    partHeaders: (bytes) => [`Content-Length: ${bytes.length}`],
    encodeUrl: (url) => mapQuery(url, (query) => query.replaceAll("'", '%27')),
    systemHeaders: { 'user-agent': 'okhttp/4.9.2', 'accept-encoding': 'gzip' },
  },
  ios: {
    boundary: () => Array.from(randomBytes(IOS_BOUNDARY_LENGTH),
      (byte) => IOS_BOUNDARY_ALPHABET[byte % IOS_BOUNDARY_ALPHABET.length]).join(''),
    partHeaders: () => [],
    encodeUrl: (url) => mapQuery(url, (query) => query.replaceAll('[', '%5B').replaceAll(']', '%5D')),
    systemHeaders: {
      'user-agent': 'PopOff/1 CFNetwork/1494.0.7 Darwin/23.4.0',
      'accept-encoding': 'gzip, deflate',
      'accept-language': 'en-GB,en;q=0.9',
    },
  },
};

/** React Native's FormData: an ordered list of pairs; it has no iterator, and axios notices that. */
export class FormData {
  #parts = [];

  append(name, value) {
    this.#parts.push([name, value]);
  }

  getParts() {
    return this.#parts.map(([name, value]) => ({
      headers: { 'content-disposition': `form-data; name="${name}"` },
      string: String(value),
    }));
  }
}

export class TimeoutError extends Error {}

/** One phone's system: `send` puts a request on the wire, `log` holds every exchange, the newest last. */
export class Native {
  constructor(style) {
    if (!(style in STYLES)) throw new Error(`no style ${style}; there are: ${Object.keys(STYLES).join(', ')}`);
    this.style = STYLES[style];
    this.log = [];
    this.agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
  }

  close() {
    for (const agent of Object.values(this.agents)) agent.destroy();
  }

  /**
   * Sends one request and follows the redirects of a GET.
   * `body` is undefined, a string, a Buffer or a FormData; `timeoutMs` 0 means none.
   * Answers `{status, headers, bytes, url}`; throws TimeoutError, or the socket's error.
   */
  async send({ method, url, headers = {}, body, timeoutMs = 0 }) {
    const wire = this.#encode(method, headers, body);
    const exchange = { method, url: this.style.encodeUrl(url), requestHeaders: wire.headers, requestBytes: wire.bytes };
    this.log.push(exchange);
    const deadline = timeoutMs > 0 ? Date.now() + timeoutMs : Infinity;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const answer = await this.#roundTrip(exchange, wire, deadline).catch((error) => {
        exchange.error = error.message;
        throw error;
      });
      Object.assign(exchange, { status: answer.status, answerHeaders: answer.headers, answerBytes: answer.bytes });
      const redirected = method === 'GET' && [301, 302, 303, 307, 308].includes(answer.status);
      if (!redirected) return { ...answer, url: exchange.url };
      exchange.url = new URL(answer.headers.location, exchange.url).href;
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects from ${url}`);
  }

  #encode(method, headers, body) {
    const sent = { ...headers };
    let bytes = null;
    if (body instanceof FormData) {
      const boundary = this.style.boundary();
      bytes = this.#multipart(body, boundary);
      sent['content-type'] = `multipart/form-data; boundary=${boundary}`;
    } else if (body !== undefined && body !== null) {
      bytes = Buffer.from(body);
    } else if (['POST', 'PUT', 'PATCH'].includes(method)) {
      bytes = Buffer.alloc(0);
    }
    if (bytes !== null) sent['content-length'] = String(bytes.length);
    for (const [name, value] of Object.entries(this.style.systemHeaders)) {
      const ranged = name === 'accept-encoding' && 'range' in sent;
      if (!(name in sent) && !ranged) sent[name] = value;
    }
    return { headers: sent, bytes };
  }

  #multipart(form, boundary) {
    const chunks = [];
    for (const { headers, string } of form.getParts()) {
      const value = Buffer.from(string, 'utf8');
      const lines = Object.entries(headers).map(([name, text]) => `${name}: ${text}`);
      const head = [`--${boundary}`, ...lines, ...this.style.partHeaders(value), '', ''].join(CRLF);
      chunks.push(Buffer.from(head, 'utf8'), value, Buffer.from(CRLF));
    }
    return Buffer.concat([...chunks, Buffer.from(`--${boundary}--${CRLF}`)]);
  }

  async #roundTrip(exchange, wire, deadline) {
    try {
      return await this.#once(exchange, wire, deadline);
    } catch (error) {
      // A kept-alive connection may be closed by the server just as it is used again; both systems then try once more.
      if (!error.onReusedSocket) throw error;
      return this.#once(exchange, wire, deadline);
    }
  }

  async #once({ method, url }, { headers, bytes }, deadline) {
    const { protocol } = new URL(url);
    const { request: open } = protocol === 'https:' ? https : http;
    const request = open(url, { method, headers, agent: this.agents[protocol] });
    const timedOut = new TimeoutError('timeout');
    const timer = deadline === Infinity ? undefined
      : setTimeout(() => request.destroy(timedOut), Math.max(0, deadline - Date.now()));
    request.on('error', () => {}); // one that comes after the answer began reaches us through the answer
    try {
      request.end(bytes ?? undefined);
      const [response] = await once(request, 'response');
      const raw = Buffer.concat(await response.toArray());
      return { status: response.statusCode, headers: response.headers, bytes: decode(raw, response.headers) };
    } catch (error) {
      if (request.errored === timedOut) throw timedOut;
      error.onReusedSocket = request.reusedSocket && error.code === 'ECONNRESET';
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** fetch as the app uses it: no timeout, no Authorization, the body as bytes. */
export async function nativeFetch(native, url, { method = 'GET', headers = {}, body } = {}) {
  const lowered = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const answer = await native.send({ method, url, headers: lowered, body });
  return {
    ok: answer.status >= 200 && answer.status < 300,
    status: answer.status,
    url: answer.url,
    bytes: answer.bytes,
    header: (name) => answer.headers[name.toLowerCase()],
    text: () => answer.bytes.toString('utf8'),
  };
}

/** Makes this process look like React Native to axios. Call it before axios is loaded. */
export function installGlobals(native) {
  const globals = {
    window: globalThis,
    navigator: { product: 'ReactNative' },
    FormData,
    XMLHttpRequest: xmlHttpRequestOn(native),
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

/** React Native's XMLHttpRequest: header names lower-cased, `loadend` last, no response after an error. */
function xmlHttpRequestOn(native) {
  return class XMLHttpRequest {
    readyState = 0;
    status = 0;
    statusText;
    timeout = 0;
    responseType = '';
    responseText = '';
    responseURL;
    withCredentials = true;
    upload = {};
    onload = null;
    onloadend = null;
    onerror = null;
    ontimeout = null;
    onabort = null;
    onreadystatechange = null;
    #request = null;
    #headers = {};
    #answerHeaders = null;
    #aborted = false;

    get response() {
      return this.responseText;
    }

    open(method, url) {
      this.#request = { method, url };
      this.#become(1);
    }

    setRequestHeader(name, value) {
      this.#headers[name.toLowerCase()] = String(value);
    }

    getAllResponseHeaders() {
      if (this.#answerHeaders === null) return null;
      return Object.entries(this.#answerHeaders).sort().map(([name, value]) => `${name}: ${value}${CRLF}`).join('');
    }

    getResponseHeader(name) {
      return this.#answerHeaders?.[name.toLowerCase()] ?? null;
    }

    send(body) {
      native.send({ ...this.#request, headers: this.#headers, body, timeoutMs: this.timeout }).then(
        (answer) => this.#succeed(answer),
        (error) => this.#finish(error instanceof TimeoutError ? 'ontimeout' : 'onerror'),
      );
    }

    abort() {
      this.#aborted = true;
      this.#finish('onabort');
    }

    #succeed(answer) {
      if (this.#aborted) return;
      this.status = answer.status;
      this.responseURL = answer.url;
      this.responseText = answer.bytes.toString('utf8');
      this.#answerHeaders = answer.headers;
      this.#finish('onload');
    }

    #finish(handler) {
      this.#become(4);
      this[handler]?.({ type: handler.slice(2) });
      this.onloadend?.({ type: 'loadend' });
    }

    #become(state) {
      this.readyState = state;
      this.onreadystatechange?.();
    }
  };
}

function mapQuery(url, encode) {
  const [path, query] = url.split(/\?(.*)/s);
  return query === undefined ? url : `${path}?${encode(query)}`;
}

function decode(bytes, headers) {
  const encoding = headers['content-encoding'];
  if (encoding === 'gzip') return gunzipSync(bytes);
  return encoding === 'deflate' ? inflateSync(bytes) : bytes;
}
