// Parses the address that a model comes from.

import { shown } from './messages.js';

/** @typedef {'weights' | 'weights with config' | 'archive' | 'config' | 'vocabulary'} Kind */

/**
 * @typedef {object} Place
 * @property {string} url without fragment; identifies the stored model
 * @property {Kind} kind
 * @property {string} name of the file
 * @property {string} root the virtual folder of the model's files; ends in `/`
 * @property {string | null} sha256 expected of the file
 */

/**
 * Kinds by file extension. Only PyTorch weights have their configuration in a separate file; they are often called
 * `model.pth.tar`.
 * @type {[RegExp, Kind][]}
 */
const KINDS = [
  [/\.safetensors$/i, 'weights'],
  [/\.((pt|pth|ckpt)(\.tar)?|bin)$/i, 'weights with config'],
  [/\.(tar|tgz|tar\.gz)$/i, 'archive'],
  [/\.ya?ml$/i, 'config'],
  [/\.(txt|json)\.gz$/i, 'vocabulary'],
];

/**
 * @param {string} text an address, which may be relative to this page; `#sha256=HEX` gives the expected hash
 * @param {string} [sha256] the expected hash; overrides the fragment's
 * @returns {Place}
 */
export function parsePlace(text, sha256) {
  const url = parseUrl(text);
  const expected = sha256 ?? new URLSearchParams(url.hash.slice(1)).get('sha256');
  if (expected !== null && !/^[0-9a-f]{64}$/i.test(expected)) {
    throw new Error(`${shown(url)}: expected a sha256 of 64 hexadecimal digits, found "${expected}": copy it again`);
  }
  url.hash = '';
  const kind = KINDS.find(([ending]) => ending.test(url.pathname))?.[1];
  if (!kind) {
    throw new Error(`${shown(url)}: expected the address of a .safetensors, .pt, .tar, .tar.gz, .tgz or .yaml file`);
  }
  return {
    url: url.href,
    kind,
    name: url.pathname.slice(url.pathname.lastIndexOf('/') + 1),
    root: kind === 'archive' ? `${shown(url)}/` : shown(new URL('.', url)),
    sha256: expected?.toLowerCase() ?? null,
  };
}

/** @param {string} text */
function parseUrl(text) {
  try {
    const url = new URL(text, self.location.href);
    if (['http:', 'https:'].includes(url.protocol)) return url;
  } catch {
    // Not an address: reported below.
  }
  throw new Error(`expected an http or https address, found "${text}": to open a local file, drop it here`);
}

/**
 * A folder name for an address, which may be too long itself, or have characters that a name cannot.
 * @param {string} url
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function folderName(url) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
