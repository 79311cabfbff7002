// check.mjs SHADERS REFUSED: puts each WGSL file of the folder SHADERS through the compilers of all platforms. Those of the
// folder REFUSED have one fault each, named in their first line: Dawn must find it, or it would not find it elsewhere.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// What a tool says against its arguments; nothing if all is well.
function complaint(tool, ...args) {
  const { status, error, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  if (error) throw error;
  return status === 0 ? '' : `${tool}: ${stdout}${stderr}`;
}

// As wgpu translates for Vulkan, Metal and DX12, by the oldest version of each language that it writes.
function translated(file, folder) {
  const out = (ending) => join(folder, basename(file, 'wgsl') + ending);
  return (
    complaint('naga', '--capabilities', 'shader_float16_in_float32', file, out('spv'), out('metal')) ||
    complaint('naga', '--capabilities', 'shader_float16_in_float32', '--shader-model', '51', file, out('hlsl')) ||
    complaint('spirv-val', '--target-env', 'vulkan1.0', out('spv'))
  );
}

// As Chrome compiles it, on a device that has no more than all have: its language, the uniformity of its control flow, and
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
  count(file, found.includes(fault) ? '' : `expected "${fault}" of Dawn, found "${found}"`);
}
rmSync(out, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
// Dawn holds the process otherwise.
process.exit(failed === 0 && passed > 0 ? 0 : 1);
