// The store's error messages: one line each, with what was expected, what was found, and what to do.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/**
 * @param {number} bytes
 * @returns {string} e.g. `1.4 GB`
 */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${UNITS[power]}`;
}

/**
 * An address for display, without its query, which may be long or contain a secret.
 * @param {string | URL} url
 */
export function shown(url) {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** @type {Record<number, string>} */
const ADVICE = {
  401: 'it requires a login: download it in a tab that is logged in, then drop the file here',
  403: 'it requires permission: download it in a tab that is logged in, then drop the file here',
  404: 'check the address',
  410: 'the file was removed: look for another address',
  429: 'too many downloads: try again later',
};

/**
 * @param {string} url
 * @param {Response} response
 */
export function badStatus(url, { status, statusText }) {
  const advice = ADVICE[status] ?? (status < 500 ? 'check the address' : 'try again later');
  return new Error(`${shown(url)}: expected a file, the server answered ${`${status} ${statusText}`.trim()}: ${advice}`);
}

/** @param {string} url */
export function webPage(url) {
  return new Error(`${shown(url)}: expected a model, found a web page: use the address of the file itself`);
}

/**
 * Browsers do not tell a page whether the network or CORS was the reason.
 * @param {string} url
 */
export function unreachable(url) {
  const why = navigator.onLine
    ? 'the network failed, or the server does not let other sites read its files (CORS)'
    : 'the browser is offline';
  return new Error(`cannot read ${shown(url)}: ${why}; download it in a separate tab and drop the file here`);
}

/**
 * @param {string} url
 * @param {number} done
 * @param {number | null} total
 */
export function cut(url, done, total) {
  const of = total === null ? '' : ` of ${size(total)}`;
  return new Error(`${shown(url)}: the download stopped after ${size(done)}${of}: try again to resume it`);
}

/**
 * @param {string} url
 * @param {string} expected
 * @param {string} found
 */
export function wrongHash(url, expected, found) {
  return new Error(
    `${shown(url)}: expected sha256 ${expected}, found ${found}: the download was deleted; ` +
      'try again, and if the hash is the same, do not trust this address',
  );
}

/** @param {string} place */
export function busy(place) {
  return new Error(`${place}: this model is being downloaded in another tab, or twice in this one: wait until it is done`);
}

/** Bytes that this site may still store; infinite if the browser reports no limit, as in Safari before 17. */
export async function room() {
  const { quota = Infinity, usage = 0 } = (await navigator.storage.estimate?.()) ?? {};
  return Math.max(quota - usage, 0);
}

/**
 * @param {string} what is stored, e.g. an address or the name of a file
 * @param {number | null} needed bytes still to store, if known
 */
export async function full(what, needed) {
  const free = await room();
  const need = needed === null ? 'more space' : `${size(needed)} more`;
  // Some browsers report a quota unrelated to the free disk space.
  const found = needed !== null && needed > free ? `this site may store ${size(free)}` : 'this browser has no space for it';
  const error = new Error(`${what}: needs ${need}, and ${found}: delete a model or free some disk space`);
  error.name = 'QuotaExceededError';
  return error;
}

/**
 * The page works, but cannot store models.
 * @param {unknown} why
 */
export function keepsNothing(why) {
  const { message } = /** @type {Error} */ (why);
  return new Error(
    `this browser cannot store models, so each visit downloads them again (${message}): ` +
      'update it, leave private browsing, or open the page over https',
  );
}

/**
 * Runs `work`, which writes files, and explains the browser's own error when even a small file does not fit.
 * @template T
 * @param {string} what is stored
 * @param {() => Promise<T>} work
 */
export async function withRoom(what, work) {
  try {
    return await work();
  } catch (error) {
    const isBrowsers = error instanceof DOMException && error.name === 'QuotaExceededError';
    throw isBrowsers ? await full(what, null) : error;
  }
}

/**
 * Whether what is already stored is still usable: the user stopped, with whatever reason, or the space ran out.
 * @param {unknown} error
 * @param {AbortSignal} [signal]
 */
export function canGoOn(error, signal) {
  return Boolean(signal?.aborted) || /** @type {Error} */ (error).name === 'QuotaExceededError';
}
