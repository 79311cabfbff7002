// The studio's page: starts its program and the models' worker, and does for them what only a page can: the address's
// wishes, files dropped or chosen, downloads, and a worker anew where one is lost.

import init, { Page, put } from './residua_studio.js';
import { Mirror } from './accessible.js';
import { keepShell } from './shell.js';
import { wholeBody } from './store/stream.js';

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|npy)$/i;
const WEIGHTS = /\.(pt|safetensors|tar|tgz|gz)$/i;
/** Workers that may be lost within a minute before the models go to the CPU. */
const MOST_LOST = 3;

const address = new URL(location.href).searchParams;
/** @type {Page | undefined} */
let page;
/** Answers that came before the page was there. */
const early = [];

// The worker.

/** Files that it was given: another one gets them again. */
const given = [];
const losses = [];
let worker = startWorker(address.get('device') ?? 'auto');

function startWorker(device) {
  const started = new Worker(new URL('worker.js', import.meta.url), { type: 'module', name: 'models' });
  started.onmessage = ({ data }) => hear(data);
  started.onerror = (event) => lose(`the models' worker failed (${event.message ?? 'it could not be loaded'})`);
  started.postMessage({ kind: 'start', device });
  if (given.length > 0) started.postMessage({ kind: 'files', files: given });
  return started;
}

function hear(data) {
  if (!page) return void early.push(data);
  if (data.kind === 'answer') page.receive(data.bytes);
  else if (data.kind === 'stored') page.stored(JSON.stringify(data.list));
  else if (data.kind === 'warning') page.warn(data.line);
  else if (data.kind === 'lost') lose(data.why);
  else lose(`the models' worker failed (${data.why})`);
}

/** Puts another worker in the place of one that is of no more use. */
function lose(why) {
  if (!page) return say(why, true);
  worker.terminate();
  losses.push(performance.now());
  const recent = losses.filter((time) => performance.now() - time < 60_000).length;
  if (recent > 2 * MOST_LOST) return page.warn(`${why}: it was lost ${recent} times; reload the page`);
  worker = startWorker(recent > MOST_LOST ? 'cpu' : address.get('device') ?? 'auto');
  page.lost(why);
}

/** What the program asks of JavaScript; see src/host.rs. */
const host = {
  post: (bytes) => worker.postMessage({ kind: 'order', bytes }, [bytes.buffer]),
  save: (name, bytes) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  },
  choose: (wanted, endings, folder) => {
    const input = document.createElement('input');
    input.type = 'file';
    if (folder) input.webkitdirectory = true;
    else input.accept = endings;
    input.onchange = () => chosen(wanted, endings, folder, [...input.files]);
    input.click();
  },
  // Without a network the browser goes on drawing those letters.
  font: (path) => fetchOwn(path).then(() => page.refreshFonts(), () => {}),
  forget: (place) => worker.postMessage({ kind: 'forget', place }),
  mirror: (update) => mirror.update(update),
  lost: () => {},
};

// What assistive technology sees of the canvas.
const canvas = document.getElementById('studio');
const mirror = new Mirror(document.getElementById('mirror'), (action) => page.act(action), canvas);

// A browser may take the canvas's graphics away, and as a rule gives them back.
canvas.addEventListener('webglcontextlost', (event) => {
  event.preventDefault();
  page?.pause();
  cover('The graphics of this browser have failed; the studio goes on as soon as they are back.');
});
canvas.addEventListener('webglcontextrestored', async () => {
  mirror.clear();
  await page?.resume();
  loading.hidden = true;
  page?.warn('the graphics of this browser have failed, and are back');
});

// Files.

let folders = 0;

/** A folder for files that come together. */
function folder() {
  folders += 1;
  return `files/${folders}`;
}

/** Puts a picture or codes where the studio finds them. */
async function keep(path, file) {
  page.put(path, new Uint8Array(await file.arrayBuffer()));
}

/** Gives the worker files, by path. */
function give(files) {
  given.push(...files);
  worker.postMessage({ kind: 'files', files });
}

async function chosen(wanted, endings, isFolder, files) {
  const top = folder();
  const known = endings.split(',');
  const matching = files.filter((file) => known.some((ending) => file.name.toLowerCase().endsWith(ending)));
  const named = matching.map((file) => [`${top}/${file.webkitRelativePath || file.name}`, file]);
  if (named.length === 0) return page.warn(`nothing was chosen that ends in ${known.join(', ')}`);
  // Pictures that the window shows lie here; what the models read, there.
  if (wanted === 'picture' || wanted === 'gallery-folder') await Promise.all(named.map(([path, file]) => keep(path, file)));
  else give(named);
  page.chosen(wanted, isFolder ? named[0][0].split('/').slice(0, 3).join('/') : named[0][0]);
}

/** All files of what was dropped, with their paths. Folders have entries; a file that a script drops may have none. */
async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const found = items.map((item) => {
    const [entry, file] = [item.webkitGetAsEntry?.(), item.getAsFile()];
    // What a script drops has an entry in WebKit, which leads nowhere.
    return entry?.isDirectory ? below(entry, entry.name) : file ? [[file.name, file]] : [];
  });
  const isFolder = items.length === 1 && Boolean(items[0].webkitGetAsEntry?.()?.isDirectory);
  return { files: (await Promise.all(found)).flat(), isFolder };
}

async function below(entry, path) {
  if (entry.isFile) return [[path, await new Promise((done, failed) => entry.file(done, failed))]];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return found;
    for (const child of some) found.push(...await below(child, `${path}/${child.name}`));
  }
}

async function take(transfer) {
  const { files, isFolder } = await dropped(transfer);
  const top = folder();
  const named = files.map(([path, file]) => [`${top}/${path}`, file]);
  const pictures = named.filter(([path]) => PICTURE.test(path));
  const models = named.filter(([path]) => !PICTURE.test(path));
  if (isFolder && models.length > 0) {
    give(models);
    return page.open(named[0][0].split('/').slice(0, 3).join('/'));
  }
  for (const [path, file] of pictures) {
    await keep(path, file);
    page.open(path);
  }
  if (models.length > 0) {
    give(models);
    page.open((models.find(([path]) => WEIGHTS.test(path)) ?? models[0])[0]);
  }
}

// In front of the canvas, which would read whole models into memory.
addEventListener('dragover', (event) => event.preventDefault(), true);
addEventListener('drop', (event) => {
  event.preventDefault();
  event.stopPropagation();
  take(event.dataTransfer).catch((error) => page.warn(`what was dropped could not be read: ${error.message}`));
}, true);

// The beginning.

const loading = document.getElementById('loading');
const bar = document.getElementById('bar');
const said = document.getElementById('said');

function say(text, isFailure = false) {
  said.textContent = text;
  if (isFailure) bar.hidden = true;
}

/** Says something in front of the studio. */
function cover(text) {
  loading.hidden = false;
  say(text, true);
}

/** Fetches bytes; `progress` is told the part that is there. */
async function download(url, progress = () => {}) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answered ${response.status}`);
  return wholeBody(response, (done, total) => { if (total) progress(done / total); });
}

/** A model that the address names: one that comes with Residua, or an address, from this page's if it names no host. */
function wishedModel(name) {
  const wished = address.get(name);
  if (!wished) return undefined;
  return /[/.]/.test(wished) ? new URL(wished, location.href).href : wished;
}

/** Fonts that the window writes with, see src/app/fonts/page.rs. */
const FONTS = ['Hack-Regular', 'Ubuntu-Light', 'egui-icons'].map((name) => `assets/fonts/${name}.ttf`);

/** Puts a file that comes with the page where the program finds it. */
async function fetchOwn(path) {
  put(path, new Uint8Array(await (await download(new URL(path, import.meta.url))).arrayBuffer()));
}

/** The file to begin with: what the address names, else a sample. */
async function first() {
  const wished = address.get('codes') ?? address.get('image');
  const place = wished ? new URL(wished, location.href) : new URL('assets/samples/scream.png', import.meta.url);
  const path = wished ? `${folder()}/${place.pathname.split('/').pop()}` : 'assets/samples/scream.png';
  try {
    put(path, new Uint8Array(await (await download(place)).arrayBuffer()));
    return { path: wished ? path : undefined };
  } catch (error) {
    return { warning: `${place.href} could not be opened: ${error.message}` };
  }
}

/** A program of nothing but an instruction on vectors. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** Throws where the browser lacks what the studio cannot do without. */
function needAll() {
  if (!globalThis.WebAssembly?.validate(SIMD)) {
    throw new Error('This browser runs no WebAssembly with vectors (SIMD), of which the studio is made: update it, or leave its lockdown mode.');
  }
  if (!document.createElement('canvas').getContext('webgl2')) {
    throw new Error('This browser gives no WebGL 2, with which the studio draws: switch hardware acceleration on, or update it.');
  }
}

async function begin() {
  needAll();
  const program = await download(new URL('residua_studio_bg.wasm', import.meta.url), (part) => { bar.value = part; });
  await init({ module_or_path: new Response(program, { headers: { 'Content-Type': 'application/wasm' } }) });
  await Promise.all(FONTS.map(fetchOwn));
  const { path, warning } = await first();
  page = await Page.start(canvas, host, wishedModel('model'), path, wishedModel('rqvae'));
  if (warning) page.warn(warning);
  early.splice(0).forEach(hear);
  loading.hidden = true;
  // For the browser's console: `residua.codes()`.
  globalThis.residua = page;
  await keepShell();
}

addEventListener('error', ({ error }) => {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  cover('The studio has stopped because of a fault of its own. Reload the page; the browser\'s console says more.');
});
begin().catch((error) => {
  // It would say something less to the point.
  worker.terminate();
  say(error.message, true);
});
