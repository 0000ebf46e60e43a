import { execFile } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { z } from 'zod';
import type { Hardware } from '#wire/agent/messages.ts';

/**
 * What this machine computes with, for the register message: NVIDIA through `nvidia-smi`, Apple through `sysctl`. Absent
 * when there is no GPU that we can name; the hub reads that as unknown.
 */

const LOOK_MS_MAX = 5_000;
const OUTPUT_BYTES_MAX = 262_144;
const MIB_PER_GIB = 1_024;
const BYTES_PER_GIB = 1_073_741_824;

/** Runs a program and answers what it printed; undefined when it is absent, fails or takes too long. */
export type RunProgram = (file: string, args: readonly string[]) => Promise<string | undefined>;

/** The machine's own programs. */
export const runProgram: RunProgram = (file, args) =>
  new Promise((resolve) => {
    execFile(
      file,
      [...args],
      { timeout: LOOK_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX, windowsHide: true },
      (error, stdout) => resolve(error ? undefined : stdout),
    );
  });

/** The GPU of this machine, if there is one. Never throws. */
export async function findHardware(
  run: RunProgram,
  machine: { platform: string; arch: string },
): Promise<Hardware | undefined> {
  if (machine.platform === 'darwin') return machine.arch === 'arm64' ? apple(run) : undefined;
  return nvidia(run);
}

/** What a machine computes with where it has no GPU. The protocol has no word for it: it is for people alone. */
export interface Processor {
  readonly model: string;
  /** That this program may use. */
  readonly cores: number;
  readonly memoryGb: number;
}

export function findProcessor(): Processor {
  return {
    model: cpus()[0]?.model.trim() || 'CPU',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / BYTES_PER_GIB),
  };
}

/** The figures of the moment, for the heartbeat: percent, MiB, °C, W. Empty without an NVIDIA GPU. */
export async function gpuFigures(run: RunProgram): Promise<Record<string, number>> {
  const rows = await query(run, 'index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw');
  const figures: Record<string, number> = {};
  let busy = 0;
  let used = 0;
  let total = 0;
  for (const row of rows) {
    const [index = 0, utilization = 0, memoryUsed = 0, memoryTotal = 0, temperature = 0, power = 0] = row.map(
      (cell) => {
        const number = Number.parseFloat(cell);
        return Number.isFinite(number) ? number : 0;
      },
    );
    figures[`gpu_${index}_utilization`] = utilization;
    figures[`gpu_${index}_memory_used_mb`] = memoryUsed;
    figures[`gpu_${index}_memory_total_mb`] = memoryTotal;
    figures[`gpu_${index}_temperature_c`] = temperature;
    figures[`gpu_${index}_power_draw_w`] = power;
    busy += utilization;
    used += memoryUsed;
    total += memoryTotal;
  }
  if (rows.length > 0) {
    figures['gpu_utilization'] = busy / rows.length;
    figures['memory_utilization'] = total > 0 ? (100 * used) / total : 0;
  }
  return figures;
}

async function nvidia(run: RunProgram): Promise<Hardware | undefined> {
  const rows = await query(run, 'name,memory.total,compute_cap,driver_version');
  const first = rows[0];
  if (!first) return undefined;
  const [name = '', memoryMib = '', capability = '', driver = ''] = first;
  const mib = Number.parseInt(memoryMib, 10);
  return {
    gpu_type: name.replace(/^NVIDIA\s+(GeForce\s+)?/i, ''),
    gpu_model: name,
    // Unified-memory machines report no figure: 0 means unknown.
    vram_gb: Number.isFinite(mib) ? Math.max(1, Math.floor(mib / MIB_PER_GIB)) : 0,
    gpu_count: rows.length,
    compute_capability: capability,
    driver_version: driver,
  };
}

async function query(run: RunProgram, fields: string): Promise<string[][]> {
  const printed = await run('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader,nounits']);
  return (printed ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line.includes(','))
    .map((line) => line.split(',').map((cell) => cell.trim().slice(0, 200)));
}

const appleSchema = z.tuple([z.string().startsWith('Apple'), z.coerce.number().positive()]);

async function apple(run: RunProgram): Promise<Hardware | undefined> {
  const printed = await run('sysctl', ['-n', 'machdep.cpu.brand_string', 'hw.memsize']);
  const read = appleSchema.safeParse(printed?.trim().split('\n'));
  if (!read.success) return undefined;
  const [name, bytes] = read.data;
  return {
    gpu_type: name
      .replace(/^Apple\s+/, '')
      .toLowerCase()
      .replaceAll(' ', '_'),
    gpu_model: name,
    // All memory is the GPU's too.
    vram_gb: Math.floor(bytes / BYTES_PER_GIB),
    gpu_count: 1,
  };
}
