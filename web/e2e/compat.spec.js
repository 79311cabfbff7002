// What a supported browser lacks is refused. Each of these was once in the page, or could be.

import { writeFile } from 'node:fs/promises';
import { expect, test } from '@playwright/test';
import { lacking, PAGE, WORKER } from './compat.js';

const REFUSED = /** @type {const} */ ([
  ['an iterated stream', PAGE, "for await (const piece of (await fetch('x')).body) console.log(piece);", 'ReadableStream.@@asyncIterator'],
  ['a static method', PAGE, "URL.canParse('x');", 'URL.canParse'],
  ['a method of a promise\'s result', WORKER, "const root = await navigator.storage.getDirectory(); await (await root.getFileHandle('x')).createWritable();", 'FileSystemFileHandle.createWritable'],
  ['a global name', PAGE, 'new EyeDropper();', 'EyeDropper'],
  ['a method of the language', PAGE, 'Object.groupBy([1], String);', 'Object.groupBy'],
  ['newer syntax', PAGE, '/[a--b]/v.test("a");', 'expected syntax of ECMAScript 2022'],
]);

for (const [what, globals, text, said] of REFUSED) {
  test(`refused: ${what}`, async ({}, info) => {
    const file = info.outputPath('page.js');
    await writeFile(file, `// A page.\n${text}\nexport {};\n`);
    expect(await lacking([file], [...globals])).toEqual([expect.stringContaining(`page.js:2: ${said}`)]);
  });
}

test('not refused: what all browsers have, and what is checked for first', async ({}, info) => {
  const file = info.outputPath('page.js');
  await writeFile(file, `
    async function* numbers() { yield 1; }
    for await (const number of numbers()) console.log(number);
    for await (const name of (await navigator.storage.getDirectory()).keys()) console.log(name);
    await navigator.storage.estimate?.();
    export {};
  `);
  expect(await lacking([file], [...PAGE])).toEqual([]);
});
