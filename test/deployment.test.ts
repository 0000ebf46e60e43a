import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { freePorts } from '#support/free-ports.ts';
import { freshDatabase } from '#support/postgres.ts';
import { Program } from '#support/program.ts';

const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as {
  files: string[];
};

test('what the package lists is all that a market needs to run', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-deployed-'));
  const fresh = await freshDatabase();
  try {
    for (const file of ['package.json', ...manifest.files.map((each) => each.replace('/*.mjs', ''))]) {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      cpSync(path.join(packageRoot(), file), path.join(folder, file), { recursive: true });
    }
    symlinkSync(path.join(packageRoot(), 'node_modules'), path.join(folder, 'node_modules'));
    const [gateway, hub] = (await freePorts(2)) as [number, number];
    const market = await Program.start(
      ['serve'],
      {
        DATABASE_URL: fresh.url,
        CYGNET_DATA_DIR: path.join(folder, 'data-folder'),
        CYGNET_GATEWAY_PORT: String(gateway),
        CYGNET_HUB_PORT: String(hub),
      },
      { file: path.join(folder, 'bin', 'cygnet.mjs') },
    );
    await market.says('The market is open.');
    const health = await fetch(`http://127.0.0.1:${gateway}/health`);
    expect(await health.json()).toMatchObject({ status: 'ok' });
    const models = await fetch(`http://127.0.0.1:${gateway}/v1/models`);
    expect(((await models.json()) as { data: unknown[] }).data.length).toBeGreaterThan(10);
    expect(await market.stop()).toEqual({ code: 0, signal: null });
  } finally {
    await fresh.drop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

test('the container image copies what the package lists', () => {
  const image = readFileSync(path.join(packageRoot(), 'Containerfile'), 'utf8');
  const needed = manifest.files.filter((file) => !['deploy', '.env.example'].includes(file));
  for (const file of needed) expect(image).toContain(`/build/${file.replace('/*.mjs', '')}/ `);
});
