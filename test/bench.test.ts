import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

/** Runs the benchmark and answers its exit code, what it printed, and its summary where it wrote one. */
async function bench(
  argv: readonly string[],
): Promise<{ code: number | null; said: string; summary: string }> {
  const out = mkdtempSync(path.join(os.tmpdir(), 'cygnet-bench-test-'));
  try {
    const child = spawn(process.execPath, ['bench/run.mjs', ...argv, '--out', out]);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes) => {
        said += bytes;
      });
    const [code] = (await once(child, 'close')) as [number | null];
    const summary = code === 0 ? readFileSync(path.join(out, 'summary.md'), 'utf8') : '';
    return { code, said, summary };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

// No figure is judged: what is proven is that the harness still knows how our programs are started and asked.
test('the benchmark starts the whole product, asks it rightly and writes its tables', async () => {
  const { code, said, summary } = await bench([
    '--targets=floor,cygnet',
    '--scenarios=ttft,cancel',
    '--rounds=1',
    '--secs=1',
  ]);
  if (said.includes('needs Linux, taskset and two CPUs')) return;
  expect({ code, said }).toMatchObject({ code: 0 });
  for (const target of ['floor', 'cygnet']) expect(summary).toContain(`\n| ${target} |`);
  expect(summary).not.toContain('Left out of the tables');
}, 180_000);
