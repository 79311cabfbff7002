// The native program, which the page is compared with.

import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import path from 'node:path';

/** The repository. */
export const ROOT = path.resolve(import.meta.dirname, '..', '..');
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(homedir(), '.cache', 'residua', 'target');
const RESIDUA = process.env.RESIDUA ?? path.join(TARGET, 'release', 'residua');

/** The sample picture. */
export const SAMPLE = path.join(ROOT, 'assets', 'samples', 'scream.png');

/**
 * Runs it on the CPU.
 * @param {string[]} words
 * @returns {any} the JSON that it prints
 */
export function native(...words) {
  const printed = execFileSync(RESIDUA, [...words, '--device', 'cpu', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  return JSON.parse(String(printed));
}

/**
 * The codes that it finds for a picture.
 * @param {string} folder for what it writes
 * @param {string} [model]
 * @param {string} [picture]
 * @returns {number[]}
 */
export function nativeCodes(folder, model = 'emoji-64', picture = SAMPLE) {
  return native('encode', picture, '--model', model, '--out', path.join(folder, 'codes.npy')).codes;
}
