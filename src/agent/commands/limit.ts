import { askAgent } from '../control-client.ts';
import type { AgentEnv } from '../env.ts';
import { folderOf, SettingsError } from '../settings.ts';
import type { ShelfChange } from '../shelf.ts';
import type { StatusBody } from '../status-body.ts';
import type { Answer } from './print.ts';
import { modelLines } from './status.ts';

/** `cygnet agent limit`: how much the running agent takes on, of one model or of all together. */
export async function limit(
  model: string | undefined,
  options: { folder?: string; concurrency?: string; requestsPerMinute?: string },
  env: AgentEnv,
): Promise<Answer> {
  const { concurrency, requestsPerMinute } = options;
  if (concurrency === undefined && requestsPerMinute === undefined)
    throw new SettingsError('Which limit? Give --concurrency <n> or --requests-per-minute <n>.');
  const change = {
    ...(concurrency !== undefined && { concurrency: Number(concurrency) }),
    ...(requestsPerMinute !== undefined && {
      requests_per_minute: requestsPerMinute === 'off' ? null : Number(requestsPerMinute),
    }),
  };
  const folder = folderOf(options, env);
  const place = model === undefined ? '/limits' : `/models/${encodeURIComponent(model)}`;
  await running(folder, askAgent<object>(folder, 'PATCH', place, change));
  const status = await running(folder, askAgent<StatusBody>(folder, 'GET', '/status'));
  return { value: { limits: status.limits, models: status.models }, lines: modelLines(status) };
}

/** `cygnet agent reload`: the models of the folder, as they stand in its files now. */
export async function reload(options: { folder?: string }, env: AgentEnv): Promise<Answer> {
  const folder = folderOf(options, env);
  const change = await running(folder, askAgent<ShelfChange>(folder, 'POST', '/reload'));
  const { added, changed, removed, failed } = change;
  const line = (what: string, ids: readonly string[]) =>
    ids.length > 0 ? [`${what}: ${ids.join(', ')}.`] : [];
  const lines = [
    ...line('Served from now on', added),
    ...line('Changed', changed),
    ...line('Served no more', removed),
    ...failed.map(({ id, because }) => `Not opened: ${id}. ${because}`),
  ];
  return { value: change, lines: lines.length > 0 ? lines : ['Nothing has changed.'] };
}

async function running<T>(folder: string, asked: Promise<T | undefined>): Promise<T> {
  const answer = await asked;
  if (answer === undefined) throw new Error(`No agent runs from ${folder}. Start one with: cygnet agent run`);
  return answer;
}
