// Remembers the results of the GPU kernels' checks, so that a later visit need not repeat them.

/** @typedef {{ time: number, text: string }} Stored */

/** Other pages of the origin may be other versions, with their own. */
const CACHE = `residua verdicts ${new URL('.', import.meta.url)}`;

/** After this time the kernels are checked again, in milliseconds: a browser does not tell of driver updates. */
const LIFETIME = 7 * 24 * 60 * 60 * 1000;

/**
 * The results stored for an adapter by this version of the page and of the browser, if any.
 * @param {string} adapter
 * @returns {Promise<string | undefined>}
 */
export async function recall(adapter) {
  try {
    return (await stored(adapter))?.text;
  } catch {
    // Without storage, as in some private windows, they are checked at each visit.
    return undefined;
  }
}

/**
 * Stores the results for an adapter instead of all earlier ones, until the first of them is too old.
 * @param {string} adapter
 * @param {string} text
 */
export async function remember(adapter, text) {
  try {
    const { time } = await stored(adapter) ?? { time: Date.now() };
    await caches.delete(CACHE);
    const cache = await caches.open(CACHE);
    await cache.put(await addressOf(adapter), new Response(JSON.stringify({ time, text })));
  } catch {
    // See above.
  }
}

/**
 * @param {string} adapter
 * @returns {Promise<Stored | undefined>}
 */
async function stored(adapter) {
  const cache = await caches.open(CACHE);
  const response = await cache.match(await addressOf(adapter));
  /** @type {Stored | undefined} */
  const found = await response?.json();
  return found && Date.now() - found.time < LIFETIME ? found : undefined;
}

/** @param {string} adapter */
async function addressOf(adapter) {
  const response = await fetch(new URL('shell.json', import.meta.url));
  const { version } = await response.json();
  const key = [version, navigator.userAgent, adapter].map(encodeURIComponent).join('&');
  return new URL(`verdicts?${key}`, import.meta.url).href;
}
