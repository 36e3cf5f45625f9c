/** One run of the story: the phones, the steps with their JSON lines, and what holds after every step. */
import { brief, expect, feedOf, Violation } from './checks.mjs';
import { BATCH_SIZE, Phone, ROUTES, UploadRefused } from './client.mjs';

const MAX_PAGES = 60;

export class Run {
  #count = 0;

  /** `suffix` makes the names of this run its own; `files` is what the phones have to post. */
  constructor({ axios, native, base, suffix, files }) {
    this.axios = axios;
    this.native = native;
    this.base = base;
    this.suffix = suffix;
    this.files = files;
    this.failed = false;
    this.started = performance.now();
  }

  phone() {
    return new Phone(this.axios, this.native, this.base);
  }

  /** A name nobody has had on this platform. */
  name(person) {
    return `${person}_${this.suffix}`;
  }

  /** Does one step and prints its line; a violation is printed with the request it came from, and thrown on. */
  async step(name, work) {
    this.#count += 1;
    const since = performance.now();
    const firstExchange = this.native.log.length;
    const line = { step: this.#count, name };
    try {
      const detail = await work();
      this.#expectDecentAnswers(firstExchange);
      print({ ...line, ok: true, ms: Math.round(performance.now() - since), ...detail });
    } catch (error) {
      this.failed = true;
      print({ ...line, ok: false, ...verdict(error), request: this.#lastRequest(error.exchange) });
      throw error;
    }
  }

  /** Whatever the app ignores, the platform still must not do. */
  #expectDecentAnswers(firstExchange) {
    for (const exchange of this.native.log.slice(firstExchange)) {
      if (!exchange.url.startsWith(this.base) || exchange.status === undefined) continue;
      try {
        expect(exchange.status < 500, 'no answer above 499', exchange.status);
        const cookies = exchange.answerHeaders['set-cookie'];
        expect(!cookies, 'no cookie from the API (a phone would keep it and send it with everything)', cookies);
      } catch (violation) {
        throw Object.assign(violation, { exchange });
      }
    }
  }

  #lastRequest(exchange = this.native.log.at(-1)) {
    if (exchange === undefined) return null;
    const { method, url, requestHeaders, requestBytes, status, answerBytes, error } = exchange;
    const multipart = /^(multipart|application\/json)/.test(requestHeaders['content-type'] ?? '');
    return {
      line: `${method} ${url}`,
      headers: requestHeaders,
      body: multipart ? brief(requestBytes.toString('utf8')) : `${requestBytes?.length ?? 0} bytes`,
      answer: error ? error : `${status} ${brief(answerBytes?.toString('utf8') ?? '')}`,
    };
  }

  /** Every route of the table was answered with 2xx at least once. */
  expectEveryRoute() {
    const counts = Object.fromEntries(ROUTES.map((route) => [route, 0]));
    for (const { method, url, status } of this.native.log) {
      const route = `${method} ${url.split('?')[0].replace(this.base, '')}`;
      if (route in counts && status >= 200 && status < 300) counts[route] += 1;
    }
    const missing = ROUTES.filter((route) => counts[route] === 0);
    expect(missing.length === 0, `all ${ROUTES.length} routes answered with 2xx`, `not: ${missing.join(', ')}`);
    return counts;
  }

  summary(style) {
    const seconds = Number(((performance.now() - this.started) / 1000).toFixed(1));
    print({ summary: { ok: !this.failed, style, steps: this.#count, requests: this.native.log.length, seconds } });
  }
}

/** As scrollTo, but an item the phone was shown before will do: a feed need not show it twice. */
export async function meet(phone, wanted, followersOnly = false) {
  return phone.met.find(wanted) ?? scrollTo(phone, wanted, followersOnly);
}

/**
 * Scrolls from the top as the app does, naming all it has, until `wanted` is met or the feed ends.
 * Answers the item or null; on the way nothing may come twice, and nothing of one's own.
 */
export async function scrollTo(phone, wanted, followersOnly = false) {
  const shown = new Set();
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const items = feedOf(await phone.feed([...shown], followersOnly), BATCH_SIZE);
    for (const item of items) {
      expect(!shown.has(item.id), 'no item that was named in exclude_ids[] or came before on the page', item);
      expect(item.user !== phone.username, 'no post of one\'s own in the feed', item);
      shown.add(item.id);
      phone.met.push(item);
      if (wanted(item)) return item;
    }
    if (items.length < BATCH_SIZE) return null;
  }
  throw new Violation(`a feed that ends within ${MAX_PAGES} pages`, `${shown.size} items`);
}

function verdict(error) {
  if (error instanceof Violation) return { expected: error.expected, got: brief(error.got) };
  const answered = (status, body) => ({ expected: 'an answer with 2xx', got: `${status} ${brief(body)}` });
  if (error instanceof UploadRefused) return answered(error.status, error.message);
  if (error.isAxiosError && error.response) return answered(error.response.status, error.response.data);
  if (error.isAxiosError) return { expected: 'an answer within the app\'s 5 s', got: `${error.code}: ${error.message}` };
  return { expected: 'an answer the app can read', got: error.stack };
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
