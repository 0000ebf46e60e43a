import { askAgent } from '../control-client.ts';
import { atTerminal, nobody } from '../setup/asker.ts';
import { type Answer, plainLine } from './print.ts';
import { type SetUp, type SetupOptions, type SetupParts, setUp } from './setup.ts';

/** `cygnet agent setup` as people and programs see it; `setup.ts` is the journey. */
export async function setUpAndSay(
  options: SetupOptions & { yes?: boolean; json?: boolean },
  parts: Omit<SetupParts, 'asker'>,
): Promise<Answer> {
  const isAsked = process.stdin.isTTY && process.stdout.isTTY && !options.yes && !options.json;
  const asker = isAsked
    ? await atTerminal({ input: process.stdin, output: process.stdout })
    : nobody((line) => process.stderr.write(`${line}\n`));
  const done = await setUp(options, { ...parts, asker });
  const running = await askAgent<object>(done.folder, 'GET', '/health').catch(() => undefined);
  const next = running
    ? 'An agent runs from this folder: it takes up the models by itself. Another market, hub or key needs its restart.'
    : 'Start serving:    cygnet agent run';
  return { value: valueOf(done), lines: [...linesOf(done), next, 'Check the chain:  cygnet agent doctor'] };
}

function valueOf({ folder, market, hub, standing, models, unmatched }: SetUp): unknown {
  return {
    folder,
    market,
    hub,
    provider_id: standing.provider_id ?? null,
    status: standing.status ?? null,
    next_steps: standing.next_steps ?? [],
    models: models.map(({ id, score, because, entry, warning }) => ({
      id,
      endpoint: entry.endpoint,
      local_model: entry.local_model ?? null,
      score,
      because,
      warning: warning ?? null,
    })),
    unmatched,
  };
}

function linesOf({ folder, market, hub, standing, models, unmatched }: SetUp): string[] {
  return [
    '',
    `Written to ${folder}: config.toml and models.json, for this agent and for Swan's alike.`,
    `Market ${market}, hub ${hub}.`,
    ...models.map(
      ({ id, entry, score, because }) =>
        `Serves ${id} from ${entry.endpoint}${entry.local_model ? `, where it is called ${entry.local_model}` : ''} (${Math.round(score * 100)} %: ${because}).`,
    ),
    ...models.flatMap(({ warning }) => (warning === undefined ? [] : [`Note: ${warning}`])),
    ...unmatched.map(
      ({ name, nearest }) =>
        `Not served: ${plainLine(name)}. ${nearest ? `It could be ${nearest.id} (${Math.round(nearest.score * 100)} %: ${nearest.because}); if it is, say --model.` : 'This market does not sell it.'}`,
    ),
    '',
    `You are: ${plainLine(standing.message ?? standing.status ?? 'known')}`,
    ...(standing.next_steps ?? []).map((step) => `Next: ${plainLine(step)}`),
  ];
}
