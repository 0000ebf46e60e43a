import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { childEnvironment } from '#config/env.ts';
import { providersNamed } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Randomness } from '#kit/random.ts';
import { agentProgram } from './agent.ts';
import { AgentProcess } from './agent-process.ts';
import { DEMO_PROVIDERS, type DemoProvider } from './demo-cast.ts';
import { freshKey } from './demo-parties.ts';
import type { RunningMarket } from './running.ts';

/**
 * Some providers of the demo month, kept connected by `cygnet start` where `cygnet demo --seed … --live` asked for it: agents
 * like any other, behind which no model is but a rehearsal. So that pages show who serves, and the playground answers.
 */
export const LIVE_SENTENCE =
  'Answers of the demo providers are rehearsed: the words of no model, at the pace of one.';

/** Between them they serve every model of the month. */
const LIVE = ['north', 'saffron', 'attic'];

/** Asks every later start of this data folder for them. */
export function askForLive(dataFolder: string): void {
  writeFileSync(markOf(dataFolder), `${LIVE_SENTENCE}\nDelete this file, and they stay away.\n`);
}

const markOf = (dataFolder: string): string => path.join(dataFolder, 'demo-live.txt');

/** Starts their agents, where that was asked for and the demo month is in this market. */
export async function startLive(
  { config, store, market, log }: RunningMarket,
  parts: { makeId: IdMaker; randomness: Randomness },
): Promise<AgentProcess[]> {
  if (!existsSync(markOf(config.dataFolder))) return [];
  const agents: AgentProcess[] = [];
  for (const each of DEMO_PROVIDERS.filter(({ name }) => LIVE.includes(name))) {
    const [provider] = await providersNamed(store.database, each.title);
    if (!provider) continue;
    agents.push(
      new AgentProcess({
        program: agentProgram(),
        words: [
          '--hub',
          `ws://127.0.0.1:${market.hubPort}`,
          '--folder',
          path.join(config.dataFolder, 'demo-agents', each.name),
          ...each.models.flatMap((model) => ['--model', `${model}=${rehearsalOf(each)}`]),
          '--name',
          `${each.name}-rehearsed`,
          '--json',
        ],
        key: await freshKey(
          { database: store.database, clock: systemClock, ...parts },
          'provider',
          provider.id,
        ),
        environment: childEnvironment(),
        clock: systemClock,
        log: log.child({ room: 'agent' }),
      }),
    );
  }
  return agents;
}

function rehearsalOf({ ttftMs, tokensPerS }: DemoProvider): string {
  return `rehearsal:first=${ttftMs},paced=${Math.round(1_000 / tokensPerS)},tokens=160`;
}
