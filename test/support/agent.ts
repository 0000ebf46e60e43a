import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type RunningAgent, runAgent } from '#agent/run.ts';
import { type AgentSettings, parseModel } from '#agent/settings.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';

let seed = 1;

/** Starts an agent in this process, with a folder of its own that goes when it leaves. Models as for `--model`. */
export async function startAgent(
  hub: string | readonly string[],
  models: readonly string[],
  more: Partial<AgentSettings> & { clock?: Clock; perModel?: number; log?: Logger } = {},
): Promise<RunningAgent & { folder: string }> {
  const { clock = systemClock, perModel, log = silentLog, ...settings } = more;
  const folder = settings.folder ?? mkdtempSync(path.join(tmpdir(), 'cygnet-agent-'));
  const agent = await runAgent(
    {
      hubUrls: [hub].flat(),
      tls: { ca: undefined, cert: undefined, key: undefined },
      key: new Sealed('sk-prov-test'),
      folder,
      name: 'test',
      models: models.map((text) => ({
        ...parseModel(text, { sequences: 4, threads: 1, gpu: false }),
        concurrency: perModel,
      })),
      concurrency: 1_024,
      drainMs: 5_000,
      serviceUrl: undefined,
      json: false,
      logLevel: 'silent',
      ...settings,
    },
    {
      clock,
      randomness: seededRandomness(seed++),
      log,
      program: () => Promise.resolve(undefined),
      machine: { platform: 'linux', arch: 'x64' },
      version: '0.0.0-test',
    },
  );
  const tidy = async (leave: () => Promise<void>): Promise<void> => {
    await leave();
    if (settings.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  return {
    folder,
    nodeId: agent.nodeId,
    registered: agent.registered,
    refused: agent.refused,
    get connected() {
      return agent.connected;
    },
    state: () => agent.state(),
    latest: () => agent.latest(),
    apply: (next) => agent.apply(next),
    limit: (change) => agent.limit(change),
    limitModel: (id, change) => agent.limitModel(id, change),
    drain: () => tidy(() => agent.drain()),
    close: () => tidy(() => agent.close()),
  };
}
