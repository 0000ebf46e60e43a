import { describe, expect, it } from 'vitest';
import { findHardware, findProcessor, gpuFigures, type RunProgram } from './hardware.ts';

const prints =
  (output: string | undefined): RunProgram =>
  () =>
    Promise.resolve(output);
const linux = { platform: 'linux', arch: 'x64' };

describe('the hardware of a machine', () => {
  it('is what nvidia-smi says, counted, with the memory of the first', async () => {
    const run = prints(
      'NVIDIA GeForce RTX 3090, 24576, 8.6, 550.54.14\nNVIDIA GeForce RTX 3090, 24576, 8.6, 550.54.14\n',
    );
    expect(await findHardware(run, linux)).toEqual({
      gpu_type: 'RTX 3090',
      gpu_model: 'NVIDIA GeForce RTX 3090',
      vram_gb: 24,
      gpu_count: 2,
      compute_capability: '8.6',
      driver_version: '550.54.14',
    });
  });

  it.each([
    ['unified memory, which has no figure', 'NVIDIA GB10, [N/A], 12.1, 580.1', 0],
    ['a card a little under its name', 'NVIDIA A100-SXM4-80GB, 81559, 8.0, 550', 79],
  ])('knows %s', async (_what, output, vram) => {
    expect((await findHardware(prints(output), linux))?.vram_gb).toBe(vram);
  });

  it('is unknown without a GPU, without the program, and when it prints nonsense', async () => {
    expect(await findHardware(prints(undefined), linux)).toBeUndefined();
    expect(await findHardware(prints('NVIDIA-SMI has failed\n'), linux)).toBeUndefined();
    expect(await findHardware(prints('junk'), { platform: 'darwin', arch: 'arm64' })).toBeUndefined();
  });

  it('is all memory on Apple silicon', async () => {
    expect(
      await findHardware(prints('Apple M3 Max\n68719476736\n'), { platform: 'darwin', arch: 'arm64' }),
    ).toMatchObject({
      gpu_type: 'm3_max',
      vram_gb: 64,
      gpu_count: 1,
    });
  });

  it('is measured for the heartbeat, and figures that are missing are zero', async () => {
    expect(
      await gpuFigures(prints('0, 50, 1000, 4000, 60, 200.5\n1, 100, 3000, 4000, [N/A], [N/A]\n')),
    ).toMatchObject({
      gpu_utilization: 75,
      memory_utilization: 50,
      gpu_0_power_draw_w: 200.5,
      gpu_1_temperature_c: 0,
    });
    expect(await gpuFigures(prints(undefined))).toEqual({});
  });
});

it('has a processor to name where it has no GPU', () => {
  expect(findProcessor()).toEqual({
    model: expect.stringMatching(/\S/),
    cores: expect.any(Number),
    memoryGb: expect.any(Number),
  });
});
