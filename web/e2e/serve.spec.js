// The small server that users run: MIME types, ranges, gzipped files, and nothing outside its folder.

import { spawn } from 'node:child_process';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test as base, WEB } from './base.js';

const WASM = Buffer.from('some wasm, unpacked');

/** @type {import('@playwright/test').TestType<{ serve: (...options: string[]) => Promise<string> }, {}>} */
const test = base.extend({
  serve: async ({}, use, info) => {
    const folder = info.outputPath('page');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'index.html'), '<title>served</title>');
    await writeFile(path.join(folder, 'app_bg.wasm'), WASM);
    await writeFile(path.join(folder, 'app_bg.wasm.gz'), gzipSync(WASM));
    await writeFile(info.outputPath('secret.txt'), 'outside');
    /** @type {import('node:child_process').ChildProcess[]} */
    const started = [];
    await use(async (...options) => {
      const server = spawn(path.join(WEB, 'serve.sh'), [folder, '--port', '0', ...options]);
      started.push(server);
      return new Promise((said) => server.stdout.once('data', (line) => said(String(line).trim())));
    });
    for (const server of started) server.kill();
  },
});

/** @param {string} url @param {http.RequestOptions} [options] */
async function get(url, options = {}) {
  return new Promise((answered, failed) => {
    const request = http.request(url, options, async (response) => {
      const body = Buffer.concat(await response.toArray());
      answered({ status: response.statusCode, headers: response.headers, body });
    });
    request.on('error', failed).end();
  });
}

test('a browser gets the page, typed and fresh', async ({ page, serve }) => {
  const url = await serve();
  await page.goto(url);
  await expect(page).toHaveTitle('served');
  const { headers } = await get(`${url}app_bg.wasm?v=1`);
  expect(headers).toMatchObject({ 'content-type': 'application/wasm', 'cache-control': 'no-cache' });
  expect(headers['access-control-allow-origin']).toBe(undefined);
  expect((await get(`${url}shell.js`)).status).toBe(404);
  const again = await get(`${url}app_bg.wasm`, { headers: { 'If-None-Match': headers.etag } });
  expect([again.status, again.body.length]).toEqual([304, 0]);
  const head = await get(url, { method: 'HEAD' });
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '21', 0]);
  expect((await get(await serve('--cors'))).headers['access-control-allow-origin']).toBe('*');
});

test('gzipped files are sent to clients that accept gzip', async ({ serve }) => {
  const url = `${await serve()}app_bg.wasm`;
  const packed = await get(url, { headers: { 'Accept-Encoding': 'br, gzip' } });
  expect([packed.headers['content-encoding'], packed.body]).toEqual(['gzip', gzipSync(WASM)]);
  expect(packed.headers['content-type']).toBe('application/wasm');
  const plain = await get(url);
  expect([plain.headers['content-encoding'], plain.body]).toEqual([undefined, WASM]);
  expect(plain.headers.etag).not.toBe(packed.headers.etag);
});

test('a gzipped copy of an older file is not sent', async ({ serve }, info) => {
  const url = `${await serve()}app_bg.wasm`;
  const later = new Date(Date.now() + 60_000);
  await utimes(info.outputPath('page/app_bg.wasm'), later, later);
  const plain = await get(url, { headers: { 'Accept-Encoding': 'gzip' } });
  expect([plain.headers['content-encoding'], plain.body]).toEqual([undefined, WASM]);
});

test('a folder has an address that ends in a slash', async ({ serve }, info) => {
  const url = await serve();
  await mkdir(info.outputPath('page/sub'));
  await writeFile(info.outputPath('page/sub/index.html'), 'below');
  const { status, headers } = await get(`${url}sub?a=1`);
  expect([status, headers.location]).toEqual([301, '/sub/?a=1']);
  expect(String((await get(`${url}sub/`)).body)).toBe('below');
});

test('ranges refer to the uncompressed file', async ({ serve }) => {
  const url = `${await serve()}app_bg.wasm`;
  const { headers } = await get(url);
  for (const [range, status, found, body] of /** @type {[string, number, string | undefined, string]} */ ([
    ['bytes=5-', 206, 'bytes 5-18/19', 'wasm, unpacked'],
    ['bytes=0-3', 206, 'bytes 0-3/19', 'some'],
    ['bytes=-8', 206, 'bytes 11-18/19', 'unpacked'],
    ['bytes=5-400', 206, 'bytes 5-18/19', 'wasm, unpacked'],
    ['bytes=19-', 416, 'bytes */19', ''],
    ['bytes=0-1,3-4', 200, undefined, String(WASM)],
    [`bytes=${'9'.repeat(5000)}-`, 200, undefined, String(WASM)],
  ])) {
    const part = await get(url, { headers: { Range: range, 'Accept-Encoding': 'gzip', 'If-Range': headers.etag } });
    expect([part.status, part.headers['content-range'], String(part.body)]).toEqual([status, found, body]);
  }
  const changed = await get(url, { headers: { Range: 'bytes=5-', 'If-Range': '"other"' } });
  expect([changed.status, changed.body]).toEqual([200, WASM]);
});

test('nothing outside the folder is served', async ({ serve }, info) => {
  const { port } = new URL(await serve());
  await mkdir(info.outputPath('page/linked'));
  await symlink(info.outputPath('secret.txt'), info.outputPath('page/linked/index.html'));
  await symlink('loop', info.outputPath('page/loop'));
  const others = ['/linked/', '/loop', `/${'n'.repeat(300)}`];
  for (const name of ['/../secret.txt', '/%2e%2e/secret.txt', '//etc/passwd', '/%00', '/none', ...others]) {
    expect((await get(`http://localhost:${port}`, { path: name })).status).toBe(404);
  }
});
