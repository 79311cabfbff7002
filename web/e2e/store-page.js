// The store as a page uses it: in a worker with `call(method, ...args)`, and on this thread with `here`.

import { Store } from '../store.js';
import { Sha256 } from './sha256.js';

const worker = new Worker('store-worker.js', { type: 'module' });
/** @type {Map<number, (answer: { result?: unknown, error?: string }) => void>} */
const waiting = new Map();
let calls = 0;

worker.onmessage = ({ data: { id, progress, ...answer } }) => {
  if (progress) page.progress.push(progress);
  else waiting.get(id)?.(answer);
};

const page = {
  /** @type {[number, number | null, string][]} */
  progress: [],
  here: await Store.open(() => new Sha256()),
  Store,
  /** @type {(method: string, ...args: unknown[]) => Promise<unknown>} returns `{ result }` or `{ error }` */
  call: (method, ...args) =>
    new Promise((answered) => {
      const id = calls++;
      waiting.set(id, answered);
      worker.postMessage({ id, method, args });
    }),
};
Object.assign(window, page);
