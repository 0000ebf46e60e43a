import { expect, test } from 'vitest';
import { planGpu } from './add-gpu.mjs';

test.each([
  ['cuda', 'linux', 'x64', ['@node-llama-cpp/linux-x64-cuda', '@node-llama-cpp/linux-x64-cuda-ext']],
  ['cuda', 'win32', 'x64', ['@node-llama-cpp/win-x64-cuda', '@node-llama-cpp/win-x64-cuda-ext']],
  ['vulkan', 'linux', 'x64', ['@node-llama-cpp/linux-x64-vulkan']],
  ['vulkan', 'win32', 'x64', ['@node-llama-cpp/win-x64-vulkan']],
])('%s on %s %s adds its packages', (kind, platform, arch, packages) => {
  expect(planGpu(kind, platform, arch)).toEqual({ packages });
});

test('Metal is there already on Apple silicon', () => {
  expect(planGpu('metal', 'darwin', 'arm64')).toEqual({ done: expect.stringContaining('nothing to add') });
});

test.each([
  [undefined, 'linux', 'x64', 'Usage: npm run gpu'],
  ['rocm', 'linux', 'x64', 'no GPU build called "rocm"'],
  ['metal', 'linux', 'x64', 'Metal needs a Mac with Apple silicon; this is linux x64'],
  ['metal', 'darwin', 'x64', 'Metal needs a Mac with Apple silicon; this is darwin x64'],
  ['cuda', 'darwin', 'arm64', 'no cuda build for macOS'],
  ['cuda', 'linux', 'arm64', 'no cuda build for linux arm64'],
  ['vulkan', 'freebsd', 'x64', 'no vulkan build for freebsd x64'],
])('%s on %s %s is refused with a reason', (kind, platform, arch, reason) => {
  expect(planGpu(kind, platform, arch)).toEqual({ refusal: expect.stringContaining(reason) });
});
