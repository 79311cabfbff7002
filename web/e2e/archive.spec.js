// Model archives, downloaded and local: unpacked if they are complete and harmless.

import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect, test, WEB } from './base.js';
import { openStore } from './open-store.js';
import { entry, longName, pax, tar } from './tar.js';

test.use({ root: WEB });

const sha256 = (/** @type {Buffer | string} */ bytes) => createHash('sha256').update(bytes).digest('hex');
const LONG = `${'deep/'.repeat(30)}model.pt`;
const BIG = Buffer.alloc(3_000_001, 7);

const TWO_STAGES = tar(
  entry('./m/', '', { type: '5' }),
  entry('./m/readme.txt', 'not unpacked'),
  entry('./m/stage1/config.yaml', 'arch: 1'),
  entry('./m/stage1/model.pt', BIG),
  entry('config.yaml', 'arch: 2', { prefix: 'm/stage2' }),
  longName('m/stage2/model.safetensors'),
  entry('cut short', 'two'),
  pax('path', `m/${LONG}`),
  entry('other', 'three'),
  pax('size', 4),
  entry('m/classes.txt', 'four', { size: 0 }).subarray(0, 1024),
);
const UNPACKED = /** @type {[string, Buffer | string][]} */ ([
  ['classes.txt', 'four'],
  [LONG, 'three'],
  ['stage1/config.yaml', 'arch: 1'],
  ['stage1/model.pt', BIG],
  ['stage2/config.yaml', 'arch: 2'],
  ['stage2/model.safetensors', 'two'],
]);
const described = (/** @type {string} */ root) =>
  UNPACKED.map(([path, bytes]) => [`${root}/${path}`, bytes.length, sha256(bytes)]);

for (const [name, archive] of /** @type {[string, Buffer][]} */ ([
  ['/two.tar', TWO_STAGES],
  ['/two.tar.gz', gzipSync(TWO_STAGES)],
  ['/two.TGZ', gzipSync(TWO_STAGES)],
  // Recognized by content: a server may unpack it in transfer.
  ['/plain.tar.gz', TWO_STAGES],
])) {
  test(`${name} is unpacked into the store`, async ({ page, server }) => {
    const store = await openStore(page);
    const url = server.put(name, archive);
    expect(await store.get('fetch', `${url}?key=1#sha256=${sha256(archive)}`)).toEqual(described(url));
    expect((await store.progress()).at(-1)).toEqual([archive.length, archive.length, 'unpack']);
    const [{ bytes, sha256: found, files }] = await store.get('list');
    const sum = UNPACKED.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    // The archive itself is gone.
    expect([bytes, found, files.length]).toEqual([sum, sha256(archive), UNPACKED.length]);
    expect(await store.get('verify', `${url}?key=1`)).toEqual([]);
    expect(await store.get('fetch', `${url}?key=1`)).toEqual(described(url));
    expect(server.asked(name).length).toBe(1);
  });
}

test('an archive whose unpacking the user stops is not downloaded again', async ({ page, server }) => {
  const store = await openStore(page);
  // Several pieces, even packed.
  const weights = randomBytes(3_000_000);
  const archive = tar(CONFIG, entry('m/model.pt', weights));
  for (const [name, bytes] of /** @type {[string, Buffer][]} */ ([['/m.tar', archive], ['/m.tgz', gzipSync(archive)]])) {
    const url = server.put(name, bytes);
    expect(await store.error('fetchUntil', url, 'unpack')).toBe('Error: stopped');
    expect((await store.get('list')).find(({ place }) => place === url)).toMatchObject({ bytes: bytes.length, complete: false });
    expect((await store.get('fetch', url))[1]).toEqual([`${url}/model.pt`, weights.length, sha256(weights)]);
    expect(server.asked(name).length).toBe(1);
  }
});

test('an archive that a closed tab left beside its files is removed at the next visit', async ({ page, server }) => {
  const store = await openStore(page);
  const url = server.put('/two.tar', TWO_STAGES);
  await store.get('fetch', url);
  // As if the tab had closed between the end of unpacking and the removal of the archive.
  await page.evaluate(leaveDownload);
  const sum = UNPACKED.reduce((sum, [, bytes]) => sum + bytes.length, 0);
  expect(await store.get('list')).toMatchObject([{ bytes: sum + 'archive'.length }]);
  const again = await openStore(page);
  expect(await again.get('list')).toMatchObject([{ bytes: sum, complete: true }]);
  expect(await again.get('fetch', url)).toEqual(described(url));
  expect(server.asked('/two.tar').length).toBe(1);
});

/** Adds a download to each stored model. Runs in the page. */
async function leaveDownload() {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('residua');
  for await (const folder of (await root.getDirectoryHandle('models')).values()) {
    const writable = await (await folder.getFileHandle('download', { create: true })).createWritable();
    await writable.write('archive');
    await writable.close();
  }
}

test('an archive dropped on the page lasts as long as the tab', async ({ page, context }) => {
  const store = await openStore(page);
  const { result } = await store.drop('two.tar.gz', gzipSync(TWO_STAGES));
  expect(result).toEqual(described('two.tar.gz'));
  expect(await store.get('list')).toEqual([]);
  const scratch = () => page.evaluate(countScratch);
  // Another tab that opens the store leaves this one's files alone.
  await openStore(await context.newPage());
  expect(await scratch()).toBe(1);
  // The files of a closed tab are removed.
  await expect.poll(async () => (await openStore(page), scratch())).toBe(0);
});

async function countScratch() {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('residua');
  let count = 0;
  for await (const _ of (await root.getDirectoryHandle('scratch')).keys()) count += 1;
  return count;
}

test('what is no file of a model may be anything, and the last entry of a name counts', async ({ page }) => {
  const store = await openStore(page);
  const others = [
    entry('m/latest', '', { type: '2' }),
    entry('m/notes.txt', '', { type: '1' }),
    entry('m/pipe', '', { type: '6' }),
    entry('m/odd', '', { type: 'V' }),
  ];
  const more = [
    entry('m/hparams.yaml', 'arch: 3'),
    entry('m/model.safetensors.index.json', '{}'),
    entry('m/model_best.pth.tar', 'best'),
  ];
  const { result } = await store.drop('m.tar', tar(CONFIG, WEIGHTS, ...others, ...more, entry('m/model.pt', 'newer')));
  expect(result).toEqual(
    [
      ['config.yaml', 'arch:'],
      ['hparams.yaml', 'arch: 3'],
      ['model.pt', 'newer'],
      ['model.safetensors.index.json', '{}'],
      ['model_best.pth.tar', 'best'],
    ].map(([path, bytes]) => [`m.tar/${path}`, bytes.length, sha256(bytes)]),
  );
});

const CONFIG = entry('m/config.yaml', 'arch:');
const WEIGHTS = entry('m/model.pt', 'weights');
const checksum = () => {
  const flipped = Buffer.from(gzipSync(tar(CONFIG, WEIGHTS)));
  flipped[flipped.length - 8] ^= 1;
  return flipped;
};
const notWhole = 'hostile.tar.gz: not a complete .tar or .tar.gz';

/** Each: what an archive has, the archive, and a part of the error. @type {[string, Buffer, string][]} */
const REFUSED = [
  ['a path upwards', tar(CONFIG, entry('../model.pt', '')), 'entry "../model.pt" leads outside the folder'],
  ['a path upwards inside', tar(WEIGHTS, entry('a/../../model.pt', '')), 'leads outside the folder'],
  ['an absolute path', tar(WEIGHTS, entry('/tmp/model.pt', '')), 'entry "/tmp/model.pt" leads outside the folder'],
  ['a path upwards for a file that is not kept', tar(WEIGHTS, entry('../readme', '')), 'leads outside the folder'],
  ['a path upwards by pax', tar(WEIGHTS, pax('path', '../b.pt'), entry('b.pt')), 'leads outside the folder'],
  ['a path upwards by GNU', tar(WEIGHTS, longName('../b.pt'), entry('b.pt')), 'leads outside the folder'],
  ['a symbolic link', tar(WEIGHTS, entry('b.pt', '', { type: '2' })), 'entry "b.pt" is a link'],
  ['a hard link', tar(WEIGHTS, entry('b.pt', '', { type: '1' })), 'is a link'],
  ['a character device', tar(WEIGHTS, entry('b.pt', '', { type: '3' })), 'is a device'],
  ['a block device', tar(WEIGHTS, entry('b.pt', '', { type: '4' })), 'is a device'],
  ['a pipe', tar(WEIGHTS, entry('b.pt', '', { type: '6' })), 'is a device'],
  ['an unknown kind', tar(WEIGHTS, entry('b.pt', '', { type: 'V' })), 'is of an unknown kind'],
  ['no weights', tar(CONFIG), 'expected config.yaml and a .pt or .safetensors, found none'],
  ['nothing', Buffer.alloc(0), 'expected config.yaml and a .pt or .safetensors, found none'],
  ['text', Buffer.from('some text'), notWhole],
  ['other bytes', Buffer.alloc(2000, 'x'), `${notWhole} (a header has no number`],
  ['a cut header', tar(CONFIG, WEIGHTS).subarray(0, 1300), `${notWhole} (it ends too early)`],
  ['a cut file', tar(entry('m/model.pt', BIG)).subarray(0, 1_000_000), `${notWhole} (it ends too early)`],
  ['a cut .gz', gzipSync(tar(CONFIG, entry('m/model.pt', BIG))).subarray(0, 2000), notWhole],
  ['a .gz with a wrong checksum', checksum(), notWhole],
  ['a wrong header checksum', tar(CONFIG, Buffer.concat([Buffer.from('x'), WEIGHTS.subarray(1)])), "header's checksum is wrong"],
  ['a size beyond the archive', tar(entry('m/model.pt', 'weights', { size: 8 ** 11 - 1 })), `${notWhole} (it ends too early)`],
  ['a huge name', gzipSync(tar(WEIGHTS, longName('n'.repeat(8 << 20)), CONFIG)), "an entry's header is larger than 1048576 bytes"],
  ['many names', gzipSync(tar(WEIGHTS, ...Array(2000).fill(longName('n')), CONFIG)), "an entry's header is larger"],
  ['a malformed attribute', tar(entry('x', '99 path=a\n', { type: 'x' }), WEIGHTS), 'an extended header is malformed'],
  ['an attribute of no length', tar(entry('x', '0 path=a\n', { type: 'x' }), WEIGHTS), 'an extended header is malformed'],
  ['a size that is not a number', tar(pax('size', 'ten'), WEIGHTS), 'no number where one is expected'],
];

test('harmful and damaged archives are refused, and leave nothing behind', async ({ page, server }) => {
  const store = await openStore(page);
  for (const [what, archive, expected] of REFUSED) {
    const url = server.put('/hostile.tar.gz', archive);
    const errors = [await store.error('fetch', url), (await store.drop('hostile.tar.gz', archive)).error];
    for (const error of errors) {
      expect(error, what).toContain(expected);
      expect(error, what).not.toContain('\n');
    }
    expect(await store.get('list'), what).toEqual([]);
    expect(await page.evaluate(bytesStored), what).toBe(0);
  }
});

/** Total size of all files in the store, in bytes. Runs in the page. */
async function bytesStored(folder = navigator.storage.getDirectory()) {
  let sum = 0;
  const count = async (/** @type {FileSystemDirectoryHandle} */ folder) => {
    for await (const handle of folder.values()) {
      if (handle.kind === 'directory') await count(handle);
      else sum += (await handle.getFile()).size;
    }
  };
  await count(await folder);
  return sum;
}
