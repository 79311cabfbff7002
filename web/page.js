// The studio's page: starts its program and the models' worker, and does what only a page can: URL parameters, dropped
// and chosen files, and downloads.

import init, { Page, put } from './residua_studio.js';
import { Mirror } from './accessible.js';
import { Models } from './models.js';
import { keepShell } from './shell.js';
import { wholeBody } from './store/stream.js';

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|npy)$/i;
const WEIGHTS = /\.(pt|pth|ckpt|bin|safetensors|tar|tgz|gz)$/i;

const address = new URL(location.href).searchParams;
/** @type {Page | undefined} */
let page;
/** Answers that arrived before the page was ready. */
const early = [];

const models = new Models(address.get('device') ?? 'auto', hear);

function hear(data) {
  if (!page) return void early.push(data);
  if (data.kind === 'answer') page.receive(data.bytes);
  else if (data.kind === 'stored') page.stored(JSON.stringify(data.list));
  else if (data.kind === 'warning') page.warn(data.line);
  else if (data.kind === 'save') save(data.name, data.bytes);
  else if (data.kind === 'lost') page.lost(models.replace(data.why, data.again));
  else page.lost(models.replace(`the models' worker failed (${data.why})`));
}

/** Saves a file of the worker among the downloads. */
function save(name, bytes) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Functions that the program calls; see crates/core/src/host.rs. */
const host = {
  post: (bytes) => models.post({ kind: 'order', bytes }, [bytes.buffer]),
  choose: (wanted, endings, folder) => {
    const input = document.createElement('input');
    input.type = 'file';
    if (folder) input.webkitdirectory = true;
    else input.accept = endings;
    input.onchange = () => chosen(wanted, endings, folder, [...input.files]);
    input.click();
  },
  // Without a network, the browser still draws these letters.
  font: (path) => fetchOwn(path).then(() => page.refreshFonts(), () => {}),
  forget: (place) => models.post({ kind: 'forget', place }),
  mirror: (update) => mirror.update(update),
  lost: () => {},
};

// The canvas for assistive technology.
const canvas = document.getElementById('studio');
const mirror = new Mirror(document.getElementById('mirror'), (action) => page.act(action), canvas);

// A browser may take the canvas's graphics context away; it usually restores it.
canvas.addEventListener('webglcontextlost', (event) => {
  event.preventDefault();
  page?.pause();
  cover('The browser has lost its graphics context. The studio continues as soon as it is restored.');
});
canvas.addEventListener('webglcontextrestored', async () => {
  mirror.clear();
  await page?.resume();
  loading.hidden = true;
  page?.warn('the browser lost its graphics context and has restored it');
});

// Files.

let folders = 0;

/** A new folder for files opened together. */
function folder() {
  folders += 1;
  return `files/${folders}`;
}

function chosen(wanted, endings, isFolder, files) {
  const top = folder();
  const known = endings.split(',');
  const matching = files.filter((file) => known.some((ending) => file.name.toLowerCase().endsWith(ending)));
  const named = matching.map((file) => [`${top}/${file.webkitRelativePath || file.name}`, file]);
  if (named.length === 0) return page.warn(`expected files that end in ${known.join(', ')}, found none: choose others`);
  models.give(named);
  page.chosen(wanted, isFolder ? named[0][0].split('/').slice(0, 3).join('/') : named[0][0]);
}

/** All dropped files, with their paths. Folders have entries; a file dropped by a script may have none. */
async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const found = items.map((item) => {
    const [entry, file] = [item.webkitGetAsEntry?.(), item.getAsFile()];
    // In WebKit, a file dropped by a script has an entry, but it is unusable.
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
  const others = named.filter(([path]) => !PICTURE.test(path));
  models.give(isFolder && others.length > 0 ? others : named);
  if (isFolder && others.length > 0) {
    return page.open(named[0][0].split('/').slice(0, 3).join('/'));
  }
  for (const [path] of pictures) page.open(path);
  if (others.length > 0) {
    page.open((others.find(([path]) => WEIGHTS.test(path)) ?? others[0])[0]);
  }
}

// Captured before the canvas gets them, which would read whole models into memory.
addEventListener('dragover', (event) => event.preventDefault(), true);
addEventListener('drop', (event) => {
  event.preventDefault();
  event.stopPropagation();
  take(event.dataTransfer).catch((error) => page.warn(`the dropped files could not be read: ${error.message}`));
}, true);

// Startup.

const loading = document.getElementById('loading');
const bar = document.getElementById('bar');
const said = document.getElementById('said');

function say(text, isFailure = false) {
  said.textContent = text;
  if (isFailure) bar.hidden = true;
}

/** Covers the studio with a message. */
function cover(text) {
  loading.hidden = false;
  say(text, true);
}

/** Fetches bytes; `progress` gets the fraction received. */
async function download(url, progress = () => {}) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answered ${response.status}`);
  return wholeBody(response, (done, total) => { if (total) progress(done / total); });
}

/** The model named in the page's URL: a bundled one, or an address, which may be relative to the page. */
function wishedModel(name) {
  const wished = address.get(name);
  if (!wished) return undefined;
  return /[/.]/.test(wished) ? new URL(wished, location.href).href : wished;
}

/** The window's fonts; see src/app/fonts/page.rs. */
const FONTS = ['Hack-Regular', 'Ubuntu-Light', 'egui-icons'].map((name) => `assets/fonts/${name}.ttf`);

/** Fetches a file that comes with the page and makes it available to the program. */
async function fetchOwn(path) {
  put(path, new Uint8Array(await (await download(new URL(path, import.meta.url))).arrayBuffer()));
}

/** The file to open at the start: the one that the URL names, or else a sample. */
async function first() {
  const wished = address.get('codes') ?? address.get('image');
  const place = wished ? new URL(wished, location.href) : new URL('assets/samples/red-cat.png', import.meta.url);
  const path = wished ? `${folder()}/${place.pathname.split('/').pop()}` : 'assets/samples/red-cat.png';
  try {
    models.give([[path, await download(place)]]);
    return { path: wished ? path : undefined };
  } catch (error) {
    return { warning: `${place.href} could not be opened: ${error.message}` };
  }
}

/** A minimal program with one SIMD instruction. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** Throws if the browser lacks something that the studio needs. */
function needAll() {
  if (!globalThis.WebAssembly?.validate(SIMD)) {
    throw new Error('This browser does not support WebAssembly with SIMD, which the studio needs: update it, or turn lockdown mode off.');
  }
  if (!document.createElement('canvas').getContext('webgl2')) {
    throw new Error('This browser does not provide WebGL 2, which the studio needs: turn hardware acceleration on, or update the browser.');
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
  cover('The studio has crashed. Reload the page; the browser\'s console has the details.');
});
begin().catch((error) => {
  // Stop it, or its own failure would replace this more specific message.
  models.end();
  say(error.message, true);
});
