// A web server for tests: serves a folder and files made up by a test, records requests, and fails on demand.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

/** @type {Record<string, string>} */
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * How to serve a file made up by a test.
 * @typedef {object} Answer
 * @property {Buffer} bytes
 * @property {string | null} [etag] null for none; by default a hash of the bytes
 * @property {number} [status] instead of the file
 * @property {boolean} [ranges] false: always sends the whole file
 * @property {number} [cutAt] breaks the connection before this byte of the file, once
 * @property {number} [holdAt] waits before this byte of the file until `release`, once
 * @property {Record<string, string>} [headers] besides the usual ones
 */

/**
 * @typedef {object} Seen
 * @property {string} method
 * @property {string} path without query
 * @property {http.IncomingHttpHeaders} headers
 * @property {number} status
 */

export class Server {
  /** @type {Seen[]} in order */
  requests = [];
  /** @type {Map<string, Answer>} */
  #answers = new Map();
  /** @type {Map<string, () => void>} */
  #held = new Map();
  #http = http.createServer((request, response) => this.#handle(request, response));

  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
  }

  /** @param {string} folder to serve, besides the files from {@link put} */
  static async start(folder) {
    const server = new Server(folder);
    await new Promise((listening) => server.#http.listen(0, '127.0.0.1', () => listening(undefined)));
    return server;
  }

  /** E.g. `http://localhost:1234`; each server is an origin of its own. */
  get url() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#http.address());
    return `http://localhost:${port}`;
  }

  /**
   * Serves these bytes at a path from now on; hides a file of the folder at that path.
   * @param {string} name begins with `/`
   * @param {Buffer | string} bytes
   * @param {Omit<Answer, 'bytes'>} [answer]
   * @returns {string} its address
   */
  put(name, bytes, answer = {}) {
    this.#answers.set(name, { ...answer, bytes: Buffer.from(bytes) });
    return this.url + name;
  }

  /**
   * Releases a held answer.
   * @param {string} name
   */
  release(name) {
    this.#held.get(name)?.();
  }

  /** @param {string} name */
  asked(name) {
    return this.requests.filter((request) => request.path === name);
  }

  async stop() {
    this.#http.closeAllConnections();
    if (this.#http.listening) await new Promise((closed) => this.#http.close(closed));
  }

  /**
   * @param {http.IncomingMessage} request
   * @param {http.ServerResponse} response
   */
  async #handle(request, response) {
    const name = decodeURIComponent(new URL(request.url ?? '/', this.url).pathname);
    const answer = this.#answers.get(name) ?? (await this.#fromFolder(name));
    const { status, headers, start, bytes } = plan(answer, request);
    this.requests.push({ method: request.method ?? '', path: name, headers: request.headers, status });
    response.writeHead(status, { 'Content-Type': typeOf(name), 'Cache-Control': 'no-cache', ...headers });
    // Send the headers even if the first byte is held.
    response.flushHeaders();
    if (answer) await this.#send(name, answer, response, start, bytes);
    else response.end('not found');
  }

  /**
   * @param {string} name
   * @returns {Promise<Answer | undefined>}
   */
  async #fromFolder(name) {
    const file = path.join(this.folder, path.normalize(name), name.endsWith('/') ? 'index.html' : '');
    return readFile(file).then((bytes) => ({ bytes }), () => undefined);
  }

  /**
   * @param {string} name
   * @param {Answer} answer
   * @param {http.ServerResponse} response
   * @param {number} start of the bytes in the file
   * @param {Buffer} bytes
   */
  async #send(name, answer, response, start, bytes) {
    const { holdAt, cutAt } = answer;
    let sent = 0;
    const sendUpTo = async (/** @type {number} */ end) => {
      const piece = bytes.subarray(sent, Math.max(end - start, sent));
      sent += piece.length;
      await new Promise((written) => response.write(piece, written));
    };
    if (holdAt !== undefined) {
      delete answer.holdAt;
      const released = new Promise((release) => this.#held.set(name, () => release(undefined)));
      await sendUpTo(holdAt);
      await released;
    }
    if (cutAt !== undefined) {
      delete answer.cutAt;
      await sendUpTo(cutAt);
      response.destroy();
      return;
    }
    response.end(bytes.subarray(sent));
  }
}

/** @param {string} name */
function typeOf(name) {
  const extension = name.endsWith('/') ? '.html' : path.extname(name);
  return TYPES[extension] ?? 'application/octet-stream';
}

/**
 * @param {Answer | undefined} answer
 * @param {http.IncomingMessage} request
 */
function plan(answer, request) {
  if (!answer || answer.status) {
    const headers = answer?.headers ?? {};
    return { status: answer?.status ?? 404, headers, start: 0, bytes: answer?.bytes ?? Buffer.alloc(0) };
  }
  const { bytes, ranges = true, etag = `"${createHash('sha1').update(bytes).digest('hex')}"` } = answer;
  const headers = { ...(etag === null ? {} : { ETag: etag }), ...answer.headers };
  const wanted = ranges && /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  if (!wanted) return { status: 200, headers: { 'Content-Length': bytes.length, ...headers }, start: 0, bytes };
  const start = Number(wanted[1]);
  if (start >= bytes.length) {
    const more = { 'Content-Range': `bytes */${bytes.length}` };
    return { status: 416, headers: { ...headers, ...more }, start: 0, bytes: Buffer.alloc(0) };
  }
  const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  const partial = { ...headers, 'Content-Range': range, 'Content-Length': bytes.length - start };
  return { status: 206, headers: partial, start, bytes: bytes.subarray(start) };
}
