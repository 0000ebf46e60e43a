import { statSync } from 'node:fs';
import path from 'node:path';
import { type Clock, systemClock } from '#kit/clock.ts';
import { openLog, openLogFile } from '#kit/log.ts';
import { packageVersion } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import { openControl, refuseSecond } from '../control.ts';
import { readAgentEnv } from '../env.ts';
import { runProgram } from '../hardware.ts';
import { Market } from '../market.ts';
import { News } from '../news.ts';
import { type RunningAgent, runAgent } from '../run.ts';
import { Screen } from '../screen.ts';
import {
  type AgentOptions,
  type AgentSettings,
  modelsAreFiled,
  readModels,
  readSettings,
  SettingsError,
} from '../settings.ts';
import { MODELS_FILE } from '../swan-folder.ts';
import { TokenRates, type View, viewLines } from '../view.ts';
import { earnedToday } from './earnings.ts';
import { plainLine } from './print.ts';

/**
 * `cygnet agent run`: serves until it is told to stop. SIGTERM and SIGINT drain, a second one leaves at once; SIGHUP and a
 * changed `models.json` load the models anew. At a terminal it shows what it does, and its log goes to a file of its folder;
 * elsewhere it writes plain lines.
 */
const EXIT_SETTINGS = 2;
const EXIT_FAILED = 1;
const DRAW_EVERY_MS = 1_000;
const LOOK_EVERY_MS = 2_000;
const ASK_MARKET_EVERY_MS = 60_000;
const LOG_FILE = 'agent.log';

export async function runUntilToldToStop(
  options: AgentOptions & { plain?: boolean | undefined },
): Promise<number> {
  const env = readAgentEnv();
  const clock = systemClock;
  let settings: AgentSettings;
  try {
    settings = readSettings(options, env);
    // Before we dial: the hub would throw the other one out for us.
    await refuseSecond(settings.folder);
  } catch (error) {
    return failed(error);
  }
  const hasView = process.stdout.isTTY && !settings.json && !options.plain;
  const file =
    hasView && process.stderr.isTTY ? openLogFile(clock, path.join(settings.folder, LOG_FILE)) : undefined;
  const news = new News(file ?? process.stderr);
  const log = openLog({ level: settings.logLevel, destination: news });
  let agent: RunningAgent;
  try {
    agent = await runAgent(settings, {
      clock,
      randomness: systemRandomness,
      log,
      program: runProgram,
      machine: { platform: process.platform, arch: process.arch },
      version: packageVersion(),
    });
  } catch (error) {
    file?.close();
    return failed(error);
  }

  const filed = modelsAreFiled(options, env);
  const reload = async () => {
    if (!filed) throw new SettingsError('The models come from the command line: they change with a restart.');
    const change = await agent.apply(readModels(options, env));
    log.info({ ...change }, 'the models were loaded anew');
    return change;
  };
  let haveLeft: (code: number) => void = () => {};
  const left = new Promise<number>((resolve) => {
    haveLeft = resolve;
  });
  let asked = false;
  const stop = (): void => {
    const leaving = asked ? agent.close() : agent.drain();
    if (asked) {
      screen?.close();
      process.exit(0);
    }
    asked = true;
    leaving.then(
      () => haveLeft(0),
      () => haveLeft(EXIT_FAILED),
    );
  };
  let control: Awaited<ReturnType<typeof openControl>>;
  try {
    control = await openControl({
      agent,
      folder: settings.folder,
      api: settings.api,
      clock,
      randomness: systemRandomness,
      log,
      pid: process.pid,
      reload,
      drain: stop,
    });
  } catch (error) {
    await agent.close();
    file?.close();
    return failed(error);
  }
  const reloadAndSay = (): void => {
    reload().catch((error: unknown) =>
      log.error({ why: (error as Error).message }, 'the models could not be loaded anew; nothing changed'),
    );
  };
  const watching = filed
    ? watchFile(clock, path.join(settings.folder, MODELS_FILE), reloadAndSay)
    : undefined;
  const screen = hasView ? new Screen(process.stdout) : undefined;
  const showing = screen && showView({ agent, settings, screen, news, clock });
  if (!screen) void sayLines(agent, settings.json);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', reloadAndSay);
  // A parent that started us with a channel and is gone needs us no more.
  process.on('disconnect', stop);

  const code = await left;
  // Who listens to the channel of a parent keeps the process alive by that.
  process.off('disconnect', stop);
  watching?.cancel();
  await Promise.all([showing?.close(), control.close()]);
  if (screen) {
    screen.close();
    const { total, failed: broken } = agent.state();
    process.stdout.write(
      `The agent has left. It was sent ${total} requests, and ${broken} failed. Its log is ${path.join(settings.folder, LOG_FILE)}.\n`,
    );
  }
  file?.close();
  return code;
}

function failed(error: unknown): number {
  process.stderr.write(`${error instanceof Error ? error.message : 'The agent could not start.'}\n`);
  return error instanceof SettingsError ? EXIT_SETTINGS : EXIT_FAILED;
}

/** Without a terminal: one line when it is registered, and one when it is refused. */
async function sayLines(agent: RunningAgent, json: boolean): Promise<void> {
  void sayRefused(agent);
  const { models, extension } = await agent.registered;
  const line = json
    ? JSON.stringify({ event: 'registered', models, extension, node_id: agent.nodeId, pid: process.pid })
    : `Registered. Serving ${models.join(', ') || 'nothing that the hub takes'}.`;
  process.stdout.write(`${line}\n`);
}

async function sayRefused(agent: RunningAgent): Promise<void> {
  const reason = plainLine(await agent.refused).replace(/\.$/, '');
  process.stderr.write(`The hub refuses this agent: ${reason}. It tries again, slowly.\n`);
}

/** Calls `changed` when a file is another than before. Looked at by its figures: that works on every file system. */
function watchFile(clock: Clock, file: string, changed: () => void): { cancel(): void } {
  const look = (): string => {
    try {
      const { mtimeMs, size, ino } = statSync(file);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return 'none';
    }
  };
  let known = look();
  return clock.every(LOOK_EVERY_MS, () => {
    const now = look();
    if (now === known) return;
    known = now;
    changed();
  });
}

function showView(parts: {
  agent: RunningAgent;
  settings: AgentSettings;
  screen: Screen;
  news: News;
  clock: Clock;
}): { close(): Promise<void> } {
  const { agent, settings, screen, news, clock } = parts;
  const rates = new TokenRates();
  const market = settings.serviceUrl === undefined ? undefined : new Market(settings.serviceUrl);
  let earned: View['earned'];
  let standing = 'not asked yet';
  const ask = async (): Promise<void> => {
    if (!market) return;
    const says = await market.standing(settings.key);
    standing = plainLine(says.message ?? says.status ?? '');
    const [day, month] = await Promise.all([
      market.earnings(settings.key, '24h', '1h'),
      market.earnings(settings.key, '30d', '1d'),
    ]);
    earned = { today: earnedToday(day, clock.wallMs()), month: month.total_usd ?? 0 };
  };
  const draw = (): void => {
    const state = agent.state();
    const tokensPerSecond = rates.look(state, clock.nowMs());
    const view: View = {
      state,
      tokensPerSecond,
      market: market && { url: market.url, standing },
      earned,
      news: news.lines,
      wallMs: clock.wallMs(),
    };
    screen.draw(viewLines(view, screen.size));
  };
  const asking = new Rounds(clock, { periodMs: ASK_MARKET_EVERY_MS, work: ask, failed: () => {} });
  void ask().catch(() => {
    standing = 'does not answer';
  });
  draw();
  const drawing = clock.every(DRAW_EVERY_MS, draw);
  return {
    async close() {
      drawing.cancel();
      await Promise.all([asking.close(), market?.close()]);
    },
  };
}
