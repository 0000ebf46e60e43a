import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { request } from 'undici';
import { setStandIn } from '#catalogue/models.ts';
import { readConfig } from '#config/config.ts';
import type { Database } from '#db/database.ts';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import type { TierName } from '#domain/tier.ts';
import { createConsumer } from '#identity/consumers.ts';
import { keepKey, makeKey } from '#identity/keys.ts';
import { createProvider, setProviderTerms } from '#identity/providers.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { openLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { Book } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { impactOf } from '#reliability/impact.ts';
import { IncidentBook } from '#reliability/incident-book.ts';
import { draftPostMortem } from '#reliability/post-mortem.ts';
import { type StatusBody, statusSchema } from '#wire/status.ts';
import { leave, registered, startAgent } from './agent-child.ts';
import { fastClocks } from './fast-clock.ts';
import { type Credit, closeMonth } from './game-day-credits.ts';
import { type NoticeReceiver, receiveNotices } from './game-day-notices.ts';
import { BURNS, CHANGED, type Happening, OPENED, OVER, PROBE_FAILED, Timeline } from './game-day-timeline.ts';
import { type Shopper, Traffic } from './game-day-traffic.ts';
import { Refusal } from './refusal.ts';
import { openStore } from './session.ts';

/**
 * A game day: what can go wrong with providers is staged on this machine, and what the market does about it is watched. The
 * market, its database, its agents (processes of their own), its probes and its paying consumers are real; the models are
 * rehearsals, whose behaviour stands in a file that the day rewrites.
 *
 * Three cases, one after the other, on a model that two providers in two regions serve:
 *
 *     loss     one provider is killed, then the other; much later both come back
 *     slow     both answer, and take longer to begin than their tier's objective allows
 *     wrong    one of them gets a version that answers fluently and says something else
 *
 * The day's calendar and everything that watches (rounds, windows, probes, circuits) run faster than time passes; how long
 * answers take is real. So the waits of the rules are all there and in proportion, and only the machine's own work counts for
 * more than it would: at a hundred times the speed, ten milliseconds are a second of the day.
 */
export interface GameDay {
  readonly speed: number;
  /** By case, in seconds of the day after it was staged. */
  readonly cases: Readonly<Record<CaseName, CaseTimes>>;
  readonly happenings: readonly Happening[];
  /** Requests of paying consumers while one of two providers was gone, and how many of them failed. */
  readonly oneLost: { readonly asked: number; readonly failed: number };
  /** What each tier got while nobody was left. */
  readonly outage: Readonly<Record<TierName, { asked: number; failed: number; byStandIn: number }>>;
  /** Wrong answers that consumers got before the provider was out of rotation, and after it. */
  readonly wrong: { readonly before: number; readonly after: number };
  readonly notices: { readonly told: readonly string[]; readonly forged: number; readonly mails: number };
  readonly status: StatusBody;
  /** The draft of the worst incident's post-mortem. */
  readonly postMortem: string;
  /** What the month's agreement comes to for each paying consumer. */
  readonly credits: readonly Credit[];
  /** What is not as it should be, in sentences. */
  readonly problems: readonly string[];
}

export type CaseName = 'loss' | 'slow' | 'wrong';

export interface CaseTimes {
  /** Until an incident was open. */
  readonly openedS: number;
  /** Until a consumer's answer showed that serving acts on it, or the provider was out of rotation. */
  readonly actedS: number;
  /** After the cause was gone: until service was as before, and until the incident was over. */
  readonly servedS: number;
  readonly overS: number;
}

const LARGE = 'mistralai/Mistral-Nemo-Instruct-2407';
const SMALL = 'meta-llama/Llama-3.2-3B-Instruct';
/** A day in the middle of a month of thirty days. */
const STARTS_MS = Date.UTC(2026, 10, 10, 9);
const MINUTE_MS = 60_000;
const HOBBYISTS = 12;
const RATE = 1_000_000;
const PAID_IN: Pico = parseUsd('5');
/** How many minutes Business goes without: just over the 43.2 that 99.9 % of this month allows. */
const OUTAGE_MINUTES = 48;
/** Right answers that make a model known to be right (`reliability/probe-check.ts`), with some to spare. */
const PROBES_FIRST = 8;
const WELL = 'echo,tokens=12';
const SLOW = `${WELL},first=1800`;
const WRONG = 'tokens=12';

export async function gameDay(options: {
  speed: number;
  say: (sentence: string) => void;
  /** Default: an embedded database below the day's own folder. Empty but for the schema. */
  databaseUrl?: string;
  /** Default: the agent that was built with this program. */
  agentProgram?: string;
  /** Resolves when the day is to end early: everything is closed, and it is refused. */
  stop?: Promise<void>;
}): Promise<GameDay> {
  const { speed, say } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-gameday-'));
  // Started by root, PostgreSQL runs as another user, who must get through to its own folder.
  chmodSync(folder, 0o711);
  const { calendar, watch } = fastClocks(systemClock, { startMs: STARTS_MS, speed });
  const timeline = new Timeline({ clock: calendar, say });
  const secret = new Sealed('a secret of the game day');
  const notices = await receiveNotices(secret);
  const closing: (() => Promise<void> | void)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
    () => notices.close(),
  ];
  try {
    const config = readConfig(
      {},
      {
        dataFolder: folder,
        ...(options.databaseUrl !== undefined && { databaseUrl: new Sealed(options.databaseUrl) }),
        gatewayPort: 0,
        hubPort: 0,
        benchmarks: { mode: 'off' },
        external: { allowNetworks: ['127.0.0.1'] },
        // Probes come often by real time: the day's pace must not run into the limits of real minutes, nor into an allowance.
        limits: { requestsPerMinute: { llm: RATE, image: RATE, embedding: RATE, other: RATE } },
        watch: {
          probes: true,
          probesDaily: parseUsd('5'),
          webhook: { url: notices.url, secret },
          mailTo: 'operator@market.example',
        },
      },
    );
    const log = openLog({ level: 'info', destination: timeline.log });
    const store = await openStore({ config, clock: calendar, log });
    closing.push(async () => {
      await store.close();
      if (store.embedded) rmSync(store.embedded.folder, { recursive: true, force: true });
    });
    const cast = await engage(store.database, calendar);
    const market = await openMarketplace({
      config,
      database: store.database,
      databaseUrl: store.url.open(),
      clock: calendar,
      watchClock: watch,
      random: systemRandomness,
      log,
    });
    const stage = new Stage({ folder, market, cast, timeline, program: options.agentProgram });
    // The market first: that agents leave after the day is no incident.
    closing.push(async () => {
      await market.close(5_000);
      await stage.close();
    });
    await Promise.all([stage.begin('north', WELL), stage.begin('south', WELL), stage.begin('home', WELL)]);
    const traffic = new Traffic({
      clock: calendar,
      url: stage.url,
      model: LARGE,
      shoppers: cast.shoppers,
      prices: await pricesOf(store.database),
    });
    let stopped = false;
    const stopTraffic = async (): Promise<void> => {
      if (!stopped) await traffic.stop();
      stopped = true;
    };
    closing.push(stopTraffic);
    const playing = play({
      ...options,
      clock: calendar,
      shoppers: cast.shoppers,
      stage,
      traffic,
      stopTraffic,
      timeline,
      notices,
      folder,
      database: store.database,
    });
    const early = options.stop?.then(() => {
      throw new Refusal('Stopped before the end.');
    });
    return await Promise.race(early ? [playing, early] : [playing]);
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

interface Play {
  readonly speed: number;
  readonly clock: Clock;
  readonly shoppers: readonly Shopper[];
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly stopTraffic: () => Promise<void>;
  readonly timeline: Timeline;
  readonly notices: NoticeReceiver;
  readonly folder: string;
  readonly database: Database;
}

async function play(day: Play): Promise<GameDay> {
  const { stage, traffic, timeline, notices, database } = day;
  timeline.note(
    'staged',
    `Two providers serve ${LARGE}, north in eu and south in us. ${SMALL} may stand in.`,
  );
  await timeline.until('probes that find the model right', () =>
    stage.probesOk() >= PROBES_FIRST ? true : undefined,
  );
  timeline.note(
    'consumers',
    `Business, Pro and ${HOBBYISTS} Hobby accounts are served; probes find the model right.`,
  );

  const loss = await loseProviders(day);
  const slow = await slowDown(day);
  const wrong = await answerWrong(day);

  await day.stopTraffic();
  await settled(stage.market);
  const book = new IncidentBook(database);
  const incidents = (await book.since(0, 100)).toReversed();
  const worst = incidents.find(({ id }) => id === loss.incident);
  const problems: string[] = [];
  let postMortem = '';
  if (worst) {
    // What was measured is kept each five seconds of the day.
    const impact = await impactOf(database, worst, timeline.nowMs);
    postMortem = draftPostMortem({ incident: worst, steps: await book.steps([worst.id]), impact });
  } else problems.push('The loss left no incident.');
  const status = statusSchema.parse(await getJson(`${stage.url}/status.json`));
  const expected = incidents.filter(({ modelId }) => modelId === LARGE);
  if (expected.some(({ resolvedMs }) => resolvedMs === null)) problems.push('An incident is still open.');
  for (const { id } of expected)
    if (!status.incidents.some((each) => each.id === id)) problems.push(`The status page lacks ${id}.`);
  // The public figure against what consumers noted themselves, each on its own.
  const noted = traffic.receipts.filter(({ whole }) => !whole).length;
  const published = status.components
    .filter(({ region }) => region === '')
    .flatMap(({ days }) => days)
    .reduce((sum, { failures }) => sum + failures, 0);
  if (noted !== published)
    problems.push(`Consumers noted ${noted} failures, and the status page says ${published}.`);
  const { credits, problems: wrongCredits } = await closeMonth({
    database,
    clock: day.clock,
    makeId: idMaker(day.clock, systemRandomness),
    shoppers: day.shoppers,
    receipts: traffic.receipts,
  });
  problems.push(...wrongCredits);
  // Nothing else happened in the month, so the draft has said it already.
  const due = credits.reduce((sum, { booked }) => sum + booked.credit, 0n);
  if (!postMortem.includes(`| Credits due, if the rest of the month is good | ${formatUsd(due)} |`))
    problems.push('The post-mortem says other credits than were booked.');
  const report = await audit(database);
  if (!report.balanced) problems.push('The books do not balance.');
  return {
    speed: day.speed,
    cases: { loss: loss.times, slow, wrong: wrong.times },
    happenings: timeline.happenings,
    oneLost: loss.oneLost,
    outage: loss.outage,
    wrong: wrong.answers,
    notices: { told: notices.told, forged: notices.forged(), mails: mailsIn(day.folder) },
    status,
    postMortem,
    credits,
    problems,
  };
}

/** One provider goes, then the other. */
async function loseProviders({ stage, traffic, timeline }: Play) {
  const oneMs = timeline.note('staged', 'LOSS: north is killed.');
  stage.kill('north');
  const opened = await timeline.hear(OPENED, oneMs, ({ model, region }) => model === LARGE && region === '');
  // Some requests with one provider left: they must not notice.
  await timeline.until('requests at the provider that is left', () =>
    traffic.since(opened.atMs, 'business').length >= 8 ? true : undefined,
  );
  const paid = traffic.since(oneMs).filter(({ tier }) => tier !== 'hobby');
  const oneLost = { asked: paid.length, failed: paid.filter(({ whole }) => !whole).length };
  timeline.note(
    'consumers',
    `South serves everybody: ${oneLost.failed} of ${oneLost.asked} paid requests failed.`,
  );

  const allMs = timeline.note('staged', 'LOSS: south is killed, too. Nobody is left.');
  stage.kill('south');
  const critical = await timeline.hear(CHANGED, allMs, ({ because }) => because?.startsWith('0 of') === true);
  const burning = timeline.hear(BURNS, allMs, ({ tier }) => tier === 'business');
  const standIn = await timeline.until('the smaller model', () =>
    traffic.since(allMs, 'pro').find(({ servedModel }) => servedModel === SMALL),
  );
  timeline.note(
    'posture',
    `Pro and Hobby are answered by ${SMALL}, and the answers say so; Business gets 503.`,
  );
  await burning;
  const downMinutes = (): number =>
    new Set(
      traffic
        .since(allMs, 'business')
        .filter(({ status }) => status === 503)
        .map(({ sentMs }) => Math.floor(sentMs / MINUTE_MS)),
    ).size;
  await timeline.until('the outage to last', () => (downMinutes() >= OUTAGE_MINUTES ? true : undefined));
  const outage = Object.fromEntries(
    (['hobby', 'pro', 'business'] as const).map((tier) => {
      const all = traffic.since(critical.atMs + MINUTE_MS, tier);
      return [
        tier,
        {
          asked: all.length,
          failed: all.filter(({ whole }) => !whole).length,
          byStandIn: all.filter(({ servedModel, whole }) => whole && servedModel === SMALL).length,
        },
      ];
    }),
  ) as GameDay['outage'];

  const backMs = timeline.note('staged', `After ${downMinutes()} minutes both are started again.`);
  await Promise.all([stage.begin('north', WELL), stage.begin('south', WELL)]);
  const served = await timeline.until('Business to be served', () =>
    traffic.since(backMs, 'business').find(({ whole }) => whole),
  );
  timeline.note('recovery', 'Business is served again.');
  const over = await timeline.hear(OVER, backMs, ({ incident }) => incident === opened.incident);
  return {
    incident: opened.incident,
    oneLost,
    outage,
    times: {
      openedS: seconds(opened.atMs - oneMs),
      actedS: seconds(standIn.endMs - allMs),
      servedS: seconds(served.endMs - backMs),
      overS: seconds(over.atMs - backMs),
    },
  };
}

/** Both take too long to begin. */
async function slowDown({ stage, traffic, timeline }: Play): Promise<CaseTimes> {
  const fromMs = timeline.note('staged', 'SLOW: both providers need 1.8 s until their first token.');
  stage.becomes('north', SLOW);
  stage.becomes('south', SLOW);
  const opened = await timeline.hear(
    OPENED,
    fromMs,
    ({ model, because }) => model === LARGE && /p95/.test(because ?? ''),
  );
  // The budget that the loss has burnt caps Hobby too; this is the incident's own posture.
  await timeline.until('its posture', () =>
    stage.market.watching.incidents.posture.models.get(LARGE)?.outputTokensMax.hobby !== undefined
      ? true
      : undefined,
  );
  const capped = await timeline.until('a capped Hobby answer', () =>
    traffic.since(opened.atMs, 'hobby').find(({ outputCap }) => outputCap !== undefined),
  );
  timeline.note('posture', `Hobby answers have at most ${capped.outputCap} tokens, and say so.`);
  const backMs = timeline.note('staged', 'Both are fast again.');
  stage.becomes('north', WELL);
  stage.becomes('south', WELL);
  const served = await timeline.until('a quick answer', () =>
    traffic.since(backMs, 'business').find(({ whole }) => whole),
  );
  const over = await timeline.hear(OVER, backMs, ({ incident }) => incident === opened.incident);
  return {
    openedS: seconds(opened.atMs - fromMs),
    actedS: seconds(capped.endMs - fromMs),
    servedS: seconds(served.endMs - backMs),
    overS: seconds(over.atMs - backMs),
  };
}

/** One of two answers something else. */
async function answerWrong({ stage, traffic, timeline }: Play) {
  const fromMs = timeline.note('staged', 'WRONG: south gets a version that answers fluently, and wrong.');
  stage.becomes('south', WRONG);
  await timeline.hear(PROBE_FAILED, fromMs, ({ because }) => /wrong/.test(because ?? ''));
  await timeline.until('south to leave rotation', () => (stage.isShutOut('south') ? true : undefined));
  const outMs = timeline.note(
    'posture',
    'Two probes of it failed: south is out of rotation, north serves everybody.',
  );
  const opened = await timeline.hear(OPENED, fromMs, ({ model }) => model === LARGE);
  await timeline.until('the incident of its region', () =>
    stage.market.watching.incidents.postureOf(LARGE)?.avoidRegions.includes('us') ? true : undefined,
  );
  timeline.note('posture', 'Others are preferred to the region us.');
  await timeline.until('requests with south out', () =>
    traffic.since(outMs, 'business').length >= 24 ? true : undefined,
  );
  const wrongIn = (receipts: readonly { whole: boolean; right: boolean }[]): number =>
    receipts.filter(({ whole, right }) => whole && !right).length;
  const before = wrongIn(traffic.since(fromMs).filter(({ sentMs }) => sentMs < outMs));
  const after = wrongIn(traffic.since(outMs));
  timeline.note('consumers', `${before} wrong answers before that, ${after} since.`);

  const backMs = timeline.note('staged', 'South has its old version again.');
  stage.becomes('south', WELL);
  await timeline.until('south to be back', () => (stage.isShutOut('south') ? undefined : true));
  const servedMs = timeline.note(
    'recovery',
    'A probe is its trial, and is answered well: south is in rotation.',
  );
  await timeline.until('the incidents to be over', () =>
    stage.market.watching.incidents.open.length === 0 ? true : undefined,
  );
  return {
    answers: { before, after },
    times: {
      openedS: seconds(opened.atMs - fromMs),
      actedS: seconds(outMs - fromMs),
      servedS: seconds(servedMs - backMs),
      overS: seconds(timeline.nowMs - backMs),
    },
  };
}

type Name = 'north' | 'south' | 'home';

interface Cast {
  readonly providers: ReadonlyMap<Name, { readonly id: string; readonly key: Sealed<string> }>;
  readonly shoppers: readonly Shopper[];
}

/** The agents with what they serve, and how they behave. */
class Stage {
  readonly market: Marketplace;
  readonly url: string;
  readonly #parts: {
    folder: string;
    market: Marketplace;
    cast: Cast;
    timeline: Timeline;
    program: string | undefined;
  };
  readonly #agents = new Map<Name, ChildProcess>();

  constructor(parts: {
    folder: string;
    market: Marketplace;
    cast: Cast;
    timeline: Timeline;
    program: string | undefined;
  }) {
    this.#parts = parts;
    this.market = parts.market;
    this.url = `http://127.0.0.1:${parts.market.gatewayPort}`;
  }

  /** Starts a provider's agent and waits until it is registered. */
  async begin(name: Name, behaviour: string): Promise<void> {
    const { folder, market, cast, program } = this.#parts;
    this.becomes(name, behaviour);
    const provider = cast.providers.get(name);
    if (!provider) return;
    const model = name === 'home' ? SMALL : LARGE;
    const hub = `ws://127.0.0.1:${market.hubPort}`;
    const models = [`${model}=rehearsal:@${this.#file(name)}`];
    const agent = startAgent({ hub, folder: path.join(folder, name), name, models }, provider.key, program);
    this.#agents.set(name, agent);
    await registered(agent, name);
  }

  /** How its model behaves from now on. */
  becomes(name: Name, behaviour: string): void {
    const file = this.#file(name);
    writeFileSync(`${file}.new`, behaviour);
    renameSync(`${file}.new`, file);
  }

  kill(name: Name): void {
    this.#agents.get(name)?.kill('SIGKILL');
  }

  isShutOut(name: Name): boolean {
    const id = this.#parts.cast.providers.get(name)?.id;
    const candidate = this.market.hub.candidates(LARGE).find(({ providerId }) => providerId === id);
    return candidate !== undefined && candidate.breaker.byProbes;
  }

  /** Right answers to probes straight to the candidates of the large model. */
  probesOk(): number {
    return this.market.watching.probed(LARGE, 'straight', 'ok');
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(leave));
  }

  #file(name: Name): string {
    return path.join(this.#parts.folder, `${name}.rehearsal`);
  }
}

/** Providers with regions, and consumers of each tier with credit. */
async function engage(database: Database, clock: Clock): Promise<Cast> {
  const makeId = idMaker(clock, systemRandomness);
  const at = clock.wallMs();
  const keyOf = async (kind: 'consumer' | 'provider', ownerId: string): Promise<Sealed<string>> => {
    const { secret, prefix, hash } = makeKey(kind, systemRandomness);
    await keepKey(database, { id: makeId('key'), kind, ownerId, name: 'game day', prefix, hash, at });
    return secret;
  };
  const providers = new Map<Name, { id: string; key: Sealed<string> }>();
  for (const [name, region] of [
    ['north', 'eu'],
    ['south', 'us'],
    ['home', 'eu'],
  ] as const) {
    const id = makeId('prov');
    await createProvider(database, { id, name, state: 'active', at });
    await setProviderTerms(database, { id, region });
    providers.set(name, { id, key: await keyOf('provider', id) });
  }
  const book = new Book({ database, instance: 'operator', clock, log: openLog({ level: 'silent' }) });
  const shoppers: Shopper[] = [];
  for (const [tier, plan, count] of [
    ['business', 'business', 1],
    ['pro', 'pay-as-you-go', 1],
    ['hobby', 'free', HOBBYISTS],
  ] as const) {
    for (let i = 1; i <= count; i++) {
      const id = makeId('con');
      await createConsumer(database, { id, name: `${tier} ${i}`, at });
      await database.sql`update consumers set plan = ${plan} where id = ${id}`;
      // Paid in: free credit earns no credit for a missed service level.
      await book.deposit(id, PAID_IN, `pay_${id}`);
      shoppers.push({ id, tier, key: await keyOf('consumer', id) });
    }
  }
  await setStandIn(database, { name: LARGE, by: SMALL });
  return { providers, shoppers };
}

async function pricesOf(database: Database): Promise<Map<string, { input: Pico; output: Pico }>> {
  const rows = await database.sql<{ id: string; input: Pico; output: Pico }[]>`
    select model_id as id, input_pico as input, output_pico as output from prices
    where model_id = any(${[LARGE, SMALL]}::text[])`;
  return new Map(rows.map(({ id, input, output }) => [id, { input, output }]));
}

async function getJson(url: string): Promise<unknown> {
  const { body } = await request(url);
  return await body.json();
}

/** Waits until what was served is in the ledger. */
async function settled(market: Marketplace): Promise<void> {
  const timeline = new Timeline({ clock: systemClock, say: () => {} });
  await timeline.until('the ledger', () => {
    const { requests, unpostedBytes } = market.underWay();
    return requests === 0 && unpostedBytes === 0 ? true : undefined;
  });
}

function mailsIn(folder: string): number {
  return readdirSync(path.join(folder, 'mail')).filter((name) => name.endsWith('.eml')).length;
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}
