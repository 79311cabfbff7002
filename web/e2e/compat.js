// Rejects what a supported browser lacks: `npm run compat`. package.json lists the oldest supported versions.
//
// TypeScript provides the types of expressions, and Mozilla's tables say which browsers support them. So this also finds
// an iterated stream or a method of a file handle, not only global names.

import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'acorn';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

/** @typedef {import('typescript/unstable/ast').Node} Node */
/** @typedef {import('typescript/unstable/sync').Checker} Checker */
/** @typedef {import('typescript/unstable/sync').Type} Type */

const HERE = import.meta.dirname;
const WEB = path.join(HERE, '..');
const read = (/** @type {string} */ file) => JSON.parse(readFileSync(file, 'utf8'));
const TABLES = read(path.join(HERE, 'node_modules', '@mdn', 'browser-compat-data', 'data.json'));

/** The browsers' names in the tables. @type {Record<string, string>} */
const BROWSERS = { chrome: 'chrome', firefox: 'firefox', safari: 'safari', ios_saf: 'safari_ios' };

/** @type {[string, string][]} each browser with its oldest version */
const OLDEST = read(path.join(HERE, 'package.json')).browserslist.map((/** @type {string} */ line) => {
  const [, name, version] = /^(\w+) >= ([\d.]+)$/.exec(line) ?? [];
  if (!BROWSERS[name]) throw new Error(`package.json: expected a line such as "chrome >= 108" in browserslist, found "${line}"`);
  return [BROWSERS[name], version];
});

/** The ECMAScript version that the oldest browsers fully support. */
const SYNTAX = 2022;

/** What may be missing, and why that does no harm. @type {Record<string, string>} */
const HARMLESS = {
  'AbortSignal.timeout': 'Chrome before 124 has it, and only names the error otherwise',
  'HTMLInputElement.webkitdirectory': 'where folders cannot be chosen, files can',
};

/** Globals of a page, and of a worker. */
export const PAGE = ['esnext', 'dom', 'dom.iterable', 'dom.asynciterable'];
export const WORKER = ['esnext', 'webworker', 'webworker.iterable', 'webworker.asynciterable'];

/**
 * @param {string[]} files
 * @param {string[]} globals
 * @param {Set<string>} [harmless] collects the harmless ones that were found
 * @returns {Promise<string[]>} one line for each feature that a browser lacks
 */
export async function lacking(files, globals, harmless = new Set()) {
  const folder = await mkdtemp(path.join(tmpdir(), 'residua-compat-'));
  const config = path.join(folder, 'tsconfig.json');
  const compilerOptions = { allowJs: true, noEmit: true, target: 'esnext', module: 'nodenext', lib: globals, types: [] };
  await writeFile(config, JSON.stringify({ compilerOptions, files: files.map((file) => path.resolve(file)) }));
  const api = new API();
  try {
    const { program, checker } = api.updateSnapshot({ openProjects: [config] }).getProjects()[0];
    return files.flatMap((file) => {
      const source = program.getSourceFile(path.resolve(file));
      if (!source) throw new Error(`${file}: expected a source, found none`);
      const place = (/** @type {number} */ at) => `${path.relative(WEB, file)}:${source.text.slice(0, at).split('\n').length}`;
      const newer = newerSyntax(source.text);
      if (newer) return [`${place(newer.at)}: ${newer.why}`];
      /** @type {string[]} */
      const found = [];
      const visit = (/** @type {Node} */ node) => {
        const lack = used(node, checker).map(whoLacks).find(Boolean);
        if (lack?.name && HARMLESS[lack.name]) harmless.add(lack.name);
        else if (lack) found.push(`${place(node.end)}: ${lack.name} is lacking in ${lack.browsers.join(', ')}`);
        node.forEachChild(visit);
      };
      visit(source);
      return found;
    });
  } finally {
    api.close();
    await rm(folder, { recursive: true });
  }
}

/** @param {string} text */
function newerSyntax(text) {
  try {
    parse(text, { ecmaVersion: SYNTAX, sourceType: 'module' });
    return null;
  } catch (error) {
    const { message, pos } = /** @type {SyntaxError & { pos: number }} */ (error);
    return { at: pos, why: `expected syntax of ECMAScript ${SYNTAX}, found newer or invalid syntax (${message})` };
  }
}

/**
 * The browser features that a node uses, with their entries in the tables.
 * @param {any} node
 * @param {Checker} checker
 * @returns {{ name: string, entry: any }[]}
 */
function used(node, checker) {
  if (node.kind === SyntaxKind.PropertyAccessExpression && !isAsked(node)) {
    const type = checker.getTypeAtLocation(node.expression);
    const global = node.expression.kind === SyntaxKind.Identifier ? TABLES.api[node.expression.text]?.[`${node.name.text}_static`] : null;
    if (global) return [{ name: `${node.expression.text}.${node.name.text}`, entry: global }];
    return members(type, node.name.text, checker);
  }
  if (node.kind === SyntaxKind.ForOfStatement) {
    return members(checker.getTypeAtLocation(node.expression), node.awaitModifier ? '@@asyncIterator' : '@@iterator', checker);
  }
  if (node.kind === SyntaxKind.Identifier && node.parent.name !== node) {
    // TypeScript does not know globals that only one browser has.
    const symbol = checker.getSymbolAtLocation(node);
    const isBrowsers = !symbol || checker.isUnknownSymbol(symbol) || symbol.declarations.some(isLibrary);
    const entry = TABLES.api[node.text] ?? TABLES.api.Window[node.text] ?? TABLES.javascript.builtins[node.text];
    return isBrowsers && entry ? [{ name: node.text, entry }] : [];
  }
  return [];
}

/** Whether the code checks for the member first: `x.y?.()`. @param {any} node */
function isAsked(node) {
  return node.parent.kind === SyntaxKind.CallExpression && node.parent.expression === node && Boolean(node.parent.questionDotToken);
}

/**
 * The entries of a member, for each type that the value may have.
 * @param {Type | undefined} type
 * @param {string} member
 * @param {Checker} checker
 * @returns {{ name: string, entry: any }[]}
 */
function members(type, member, checker) {
  const apparent = type && (checker.getApparentType(type) ?? type);
  if (!apparent) return [];
  if (apparent.isUnionType() || apparent.isIntersectionType()) return (apparent.getTypes() ?? []).flatMap((one) => members(one, member, checker));
  const symbol = apparent.getSymbol();
  if (!symbol?.declarations.some(isLibrary)) return [];
  const name = symbol.name.replace(/^Readonly(?=Array|Map|Set)|Constructor$/, '');
  const entry = TABLES.api[name]?.[member] ?? TABLES.javascript.builtins[name]?.[member];
  if (entry) return [{ name: `${name}.${member}`, entry }];
  return (apparent.getBaseTypes() ?? []).flatMap((base) => members(base, member, checker));
}

/** @param {{ path: string }} declaration */
function isLibrary(declaration) {
  return /\/lib\.[\w.]+\.d\.ts$/.test(declaration.path);
}

/** @param {{ name: string, entry: any }} used */
function whoLacks({ name, entry }) {
  const support = entry.__compat?.support;
  if (!support) return null;
  const browsers = OLDEST.filter(([browser, oldest]) => !reaches(since(support[browser]), oldest)).map(([browser, oldest]) => `${browser} ${oldest}`);
  return browsers.length > 0 ? { name, browsers } : null;
}

/**
 * The version since which the browser has had it, without a flag and by this name.
 * @param {any} support
 * @returns {string | null}
 */
function since(support) {
  const plain = [support].flat().find((one) => one?.version_added && !one.version_removed && !one.flags && !one.prefix && !one.alternative_name);
  return plain && plain.version_added !== 'preview' ? plain.version_added.replace('≤', '') : null;
}

/**
 * @param {string | null} added
 * @param {string} oldest
 */
function reaches(added, oldest) {
  return added !== null && oldest.localeCompare(added, 'en', { numeric: true }) >= 0;
}

/** All of the page's sources. */
async function sources() {
  const all = await readdir(WEB);
  const folder = async (/** @type {string} */ name) => (await readdir(path.join(WEB, name))).map((file) => path.join(name, file));
  const files = [...all, ...await folder('store'), ...await folder('accessible')].filter((file) => file.endsWith('.js'));
  const isWorkers = (/** @type {string} */ file) => /^(worker|store|sw)\b/.test(file);
  const whole = (/** @type {string} */ file) => path.join(WEB, file);
  return /** @type {const} */ ([
    [files.filter((file) => !isWorkers(file)).map(whole), PAGE],
    [files.filter(isWorkers).map(whole), WORKER],
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  /** @type {Set<string>} */
  const harmless = new Set();
  const lines = [];
  for (const [files, globals] of await sources()) lines.push(...await lacking(files, globals, harmless));
  const unused = Object.keys(HARMLESS).filter((name) => !harmless.has(name));
  lines.push(...unused.map((name) => `compat.js: ${name} is listed as harmless but not used: remove it from the list`));
  for (const line of lines) console.log(line);
  if (lines.length > 0) process.exit(1);
}
