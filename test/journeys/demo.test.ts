import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { run } from '#support/program.ts';

test('the demo shows a market at work, ends well, and leaves nothing behind', async () => {
  const TMPDIR = mkdtempSync(path.join(tmpdir(), 'cygnet-test-'));
  try {
    const { code, out, err } = await run(['demo'], { TMPDIR });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('17 + 25 = 42');
    expect(out).toContain('The answer was cut off. You were not charged.');
    expect(out).toContain('balanced to the last pico-dollar');
    expect(readdirSync(TMPDIR)).toEqual([]);
  } finally {
    rmSync(TMPDIR, { recursive: true, force: true });
  }
}, 120_000);
