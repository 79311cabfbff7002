// Residua's engine for use in other pages: models run in a worker, so that the page never blocks. Types: residua.d.ts.

const DEVICES = ['auto', 'cpu', 'gpu'];
/** Calls that another worker must repeat although they have ended. */
const KEPT = ['open', 'load'];
/** Workers that may be lost before the model moves to the CPU. */
const MOST_LOST = 3;
const WEIGHTS = /\.(pt|pth|ckpt|bin|safetensors|tar|tgz|tar\.gz)$/i;

const PICTURES = [ImageData, HTMLImageElement, HTMLCanvasElement, ImageBitmap];

/** @type {string} */
let worker;

/** Sets the base URL of the engine's files; by default this file's folder. */
export default function init({ base = new URL('.', import.meta.url).href } = {}) {
  worker = new URL('worker.js', base).href;
}

export class Residua {
  #worker;
  /** Files given to the worker, and calls: those without an answer, and those that opened the device and the model. */
  #files = [];
  #calls = new Map();
  #next = 0;
  /** Workers lost so far. */
  #lost = 0;
  /** Why it accepts no more calls. @type {string | undefined} */
  #over;

  constructor() {
    if (!worker) init();
    this.#start();
  }

  #start() {
    const started = new Worker(worker, { type: 'module', name: 'residua' });
    // Messages of a worker that has been replaced may still arrive.
    started.onmessage = ({ data }) => { if (started === this.#worker) this.#hear(data); };
    started.onerror = (event) => { if (started === this.#worker) this.#fail(event.message ?? 'the worker could not be loaded'); };
    this.#worker = started;
    if (this.#files.length > 0) this.#worker.postMessage({ kind: 'files', files: this.#files });
    this.#calls.forEach(({ message, signal }) => {
      this.#worker.postMessage(message);
      if (signal?.aborted) this.#worker.postMessage({ kind: 'stop', id: message.id });
    });
  }

  static async load(model = 'characters-128', options = {}) {
    const { rqvae, device = 'auto', precision = 'stored', signal, onProgress } = options;
    if (!DEVICES.includes(device)) throw new TypeError(`expected the device auto, cpu or gpu, found ${device}`);
    const residua = new Residua();
    try {
      await residua.#call('open', [device]);
      const place = residua.#place(model, 'model');
      const other = rqvae === undefined ? undefined : residua.#place(rqvae, 'rqvae');
      await residua.#call('load', [place, other, precision], { signal, onProgress });
      return residua;
    } catch (error) {
      residua.close();
      throw error;
    }
  }

  async encode(picture, options) {
    return this.#call('encode', [await bytesOf(picture)], options);
  }

  async decode(stack, options) {
    return this.#call('decode', valuesOf(stack), options);
  }

  async reconstruct(picture, options) {
    return this.#call('reconstruct', [await bytesOf(picture)], options);
  }

  async sample({ signal, onProgress, ...wish } = {}) {
    return this.#call('sample', [JSON.stringify(wish)], { signal, onProgress });
  }

  async complete(stack, keep, { signal, onProgress, ...wish } = {}) {
    const [codes, shape] = valuesOf(stack);
    const [, width, depth] = shape;
    const keeps = (_, cell) => (keep(Math.floor(cell / width), cell % width) ? 1 : 0);
    const kept = Uint8Array.from({ length: codes.length / depth }, keeps);
    return this.#call('complete', [codes, shape, kept, JSON.stringify(wish)], { signal, onProgress });
  }

  async explain(stack, place, { signal, onProgress, ...question } = {}) {
    const values = [...valuesOf(stack), JSON.stringify({ ...question, place })];
    return this.#call('explain', values, { signal, onProgress });
  }

  async edit(stack, changes = [], options = {}) {
    return this.#call('edit', [...valuesOf(stack), JSON.stringify(changes)], options);
  }

  async memory() {
    return this.#call('memory', []);
  }

  close() {
    this.#worker.terminate();
    this.#fail('the engine was closed');
  }

  /** Gives files to the worker and returns their path; resolves an address. */
  #place(model, name) {
    if (typeof model === 'string') return /[/.]/.test(model) ? new URL(model, location.href).href : model;
    const given = [model].flat();
    if (given.length === 0 || !given.every((file) => file instanceof Blob)) {
      throw new TypeError(`expected a name, an address or a File as ${name}`);
    }
    const files = given.map((file) => [`files/${name}/${file.name ?? 'model.safetensors'}`, file]);
    this.#files.push(...files);
    this.#worker.postMessage({ kind: 'files', files });
    return (files.find(([path]) => WEIGHTS.test(path)) ?? files[0])[0];
  }

  async #call(method, values, { signal, onProgress } = {}) {
    signal?.throwIfAborted();
    if (this.#over) throw new Error(this.#over);
    const id = this.#next++;
    const message = { kind: 'call', id, method, values };
    const stop = () => this.#worker.postMessage({ kind: 'stop', id });
    signal?.addEventListener('abort', stop);
    const answer = new Promise((done, failed) => {
      this.#calls.set(id, { message, done, failed, onProgress, signal });
      this.#worker.postMessage(message);
    });
    return answer.finally(() => signal?.removeEventListener('abort', stop));
  }

  #hear({ kind, id, value, error, done, total, why, again }) {
    if (this.#over) return;
    const call = this.#calls.get(id);
    if (kind === 'progress') call?.onProgress?.(done, total);
    else if (kind === 'failed') this.#fail(why);
    else if (kind === 'lost') this.#replace(why, again);
    else if (kind === 'return' && call) this.#end(call, value, error);
  }

  /** Ends a call. What opened the device and the model is kept, for a worker that replaces this one. */
  #end({ message, done, failed, signal }, value, error) {
    const { id, method } = message;
    if (method === 'load') Object.assign(this, value);
    if (!KEPT.includes(method)) this.#calls.delete(id);
    else this.#calls.set(id, { message, done: () => {}, failed: ({ message }) => this.#fail(message) });
    if (signal?.aborted) failed(signal.reason);
    else if (error === undefined) done(value);
    else failed(new Error(error));
  }

  /** Repeats what the lost worker had to do in another one: on the GPU if it may be opened `again`, or else on the CPU. */
  #replace(why, again) {
    const [opening] = this.#calls.values();
    this.#lost += 1;
    const onGpu = again && this.#lost <= MOST_LOST;
    if (!onGpu && opening.message.values[0] === 'gpu') return this.#fail(`${why}; or load the model on the CPU`);
    if (!onGpu) opening.message.values = ['cpu'];
    this.#worker.terminate();
    this.#start();
  }

  #fail(why) {
    this.#over ??= why;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    calls.forEach(({ failed }) => failed(new Error(why)));
  }
}

/** A stack's codes and shape, as the program takes them. */
function valuesOf({ codes, shape }) {
  return [Uint16Array.from(whole(codes, 'codes')), Uint32Array.from(whole(shape, 'shape'))];
}

/** The numbers as an array, checked to fit 16 bits: a typed array would silently wrap others. */
function whole(numbers, name) {
  const found = numbers?.length === undefined ? [undefined] : Array.from(numbers);
  const wrong = found.findIndex((number) => !(Number.isInteger(number) && number >= 0 && number < 65_536));
  if (wrong >= 0) throw new TypeError(`expected whole numbers from 0 to 65535 as ${name}, found ${found[wrong]}`);
  return found;
}

/** The bytes of an image file, from any kind of picture that a page may have. */
async function bytesOf(picture) {
  return new Uint8Array(await (await blobOf(picture)).arrayBuffer());
}

async function blobOf(picture) {
  if (picture instanceof Blob) return picture;
  if (picture instanceof ArrayBuffer || ArrayBuffer.isView(picture)) return new Blob([picture]);
  if (!PICTURES.some((kind) => picture instanceof kind)) {
    throw new TypeError('expected a picture: a Blob, its bytes, an ImageData, an image, a canvas or an ImageBitmap');
  }
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(picture.naturalWidth ?? width, picture.naturalHeight ?? height);
  const context = canvas.getContext('2d');
  if (picture instanceof ImageData) context.putImageData(picture, 0, 0);
  else context.drawImage(picture, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}
