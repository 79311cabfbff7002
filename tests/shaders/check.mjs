// check.mjs SHADERS REFUSED: runs each WGSL file in the folder SHADERS through the compilers of all platforms. Each file in
// the folder REFUSED has one error, named in its first line. Dawn must report it: this shows that Dawn checks for it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// A tool's error output, or an empty string on success.
function complaint(tool, ...args) {
  const { status, error, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  if (error) throw error;
  return status === 0 ? '' : `${tool}: ${stdout}${stderr}`;
}

// Translates as wgpu does for Vulkan, Metal and DX12, to the oldest supported version of each language.
function translated(file, folder) {
  const out = (ending) => join(folder, basename(file, 'wgsl') + ending);
  return (
    complaint('naga', '--capabilities', 'shader_float16_in_float32', file, out('spv'), out('metal')) ||
    complaint('naga', '--capabilities', 'shader_float16_in_float32', '--shader-model', '51', file, out('hlsl')) ||
    complaint('spirv-val', '--target-env', 'vulkan1.0', out('spv'))
  );
}

// Compiles as Chrome does, on a device with the minimum limits: checks the language, the uniformity of control flow, and
// the limits on threads, workgroup memory and bindings.
async function compiled(file, device) {
  const code = readFileSync(file, 'utf8');
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const error = await device.popErrorScope();
  if (error) return `Dawn: ${error.message}`;
  const pipeline = code.includes('@compute')
    ? device.createComputePipelineAsync({ layout: 'auto', compute: { module } })
    : device.createRenderPipelineAsync({
        layout: 'auto',
        vertex: { module },
        fragment: { module, targets: [{ format: 'rgba8unorm' }] },
      });
  return pipeline.then(() => '', (reason) => `Dawn: ${reason.message}`);
}

const [shaders, refused] = process.argv.slice(2);
const files = (folder) => readdirSync(folder).sort().map((name) => join(folder, name));
let passed = 0;
let failed = 0;
function count(file, problem) {
  if (problem) console.error(`${basename(file)}: ${problem}`);
  problem ? failed++ : passed++;
}

// Dawn without a GPU behind it.
const gpu = create(['backend=null']);
const device = await (await gpu.requestAdapter()).requestDevice();
const out = mkdtempSync(join(tmpdir(), 'residua-shaders-'));
for (const file of files(shaders)) {
  count(file, translated(file, out) || (await compiled(file, device)));
}
for (const file of files(refused)) {
  const fault = readFileSync(file, 'utf8').match(/^\/\/ Refused: (.*)\n/)[1];
  const found = await compiled(file, device);
  count(file, found.includes(fault) ? '' : `expected "${fault}" from Dawn, found "${found}"`);
}
rmSync(out, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
// Dawn would keep the process alive.
process.exit(failed === 0 && passed > 0 ? 0 : 1);
