// The page's worker, with a stub as its engine: it goes on when the store refuses something.

import { expect, test, WEB } from './base.js';
import { openStore } from './open-store.js';

test.use({ root: WEB });

const ENGINE = `
  export { Sha256 as Hasher } from './e2e/sha256.js';
  export default async () => {};
  export class Engine {
    static start = async () => new Engine();
  }
  export class Models {}
  export const [assets, heap, put] = [() => [], () => 0, () => {}];
`;

test('a model is not deleted while it is downloaded, and the worker goes on', async ({ page, server }) => {
  server.put('/residua_engine.js', ENGINE);
  const store = await openStore(page);
  const url = server.put('/models/model.safetensors', Buffer.alloc(1_000_000), { holdAt: 500_000 });
  const download = store.get('fetch', url);
  await page.waitForFunction('progress.length > 0');
  await page.evaluate(() => {
    window.heard = [];
    window.worker = new Worker('/worker.js', { type: 'module' });
    window.worker.onmessage = ({ data }) => window.heard.push(data);
    window.worker.postMessage({ kind: 'start', device: 'cpu' });
  });
  const forget = () => page.evaluate((place) => window.worker.postMessage({ kind: 'forget', place }), url);
  const heard = () => page.evaluate(() => window.heard);

  await forget();
  const list = [{ place: url, complete: false }];
  const line = expect.stringContaining('model.safetensors: this model is being downloaded in another tab');
  await expect.poll(heard).toMatchObject([{ kind: 'stored', list }, { kind: 'warning', line }]);
  server.release('/models/model.safetensors');
  await download;
  await forget();
  await expect.poll(async () => (await heard()).slice(2)).toEqual([{ kind: 'stored', list: [] }]);
});
