import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { burnTriggers, type ExplainedAlert, explained } from './burn-causes.ts';
import type { BurnWatch, GroupAlert } from './burn-watch.ts';
import { type IncidentState, nextStep, QUIET_MS } from './incident.ts';
import { type Incident, type IncidentBook, RULE } from './incident-book.ts';
import type { ComponentLook, LiveSignals, PoolMember } from './live-signals.ts';
import { type ModelPosture, type Posture, postureFor, postureOf } from './posture.ts';
import { rank, type Trigger, triggersOf } from './triggers.ts';

/**
 * The round that turns figures into incidents and incidents into a posture: looks at every component, opens, changes and
 * resolves what the rules say, and keeps what serving is to heed in memory. Every process of a market looks for itself; they
 * meet in the book, where a component has one open incident, and one that any process still has a reason for is not over.
 *
 * A database that is away changes nothing about serving: the last posture holds until it is back.
 */
export class IncidentWatch {
  readonly #parts: IncidentWatchParts;
  #posture: Posture = { freeze: false, frozenBecause: [], models: new Map(), everywhere: undefined };
  #alerts: readonly ExplainedAlert[] = [];
  #open: readonly Incident[] = [];
  #declared: readonly string[] = [];
  #first = true;

  constructor(parts: IncidentWatchParts) {
    this.#parts = parts;
  }

  get posture(): Posture {
    return this.#posture;
  }

  /** What is different for a model now; undefined when nothing is. */
  readonly postureOf = (modelId: string): ModelPosture | undefined =>
    postureFor(this.#posture, modelId, this.#parts.standInOf);

  /** The budgets that burn, as of the last look, each with what explains it. */
  get alerts(): readonly ExplainedAlert[] {
    return this.#alerts;
  }

  /** The incidents that were open at the last look. */
  get open(): readonly Incident[] {
    return this.#open;
  }

  /** One round. Rejects when the book cannot be read or written. */
  async look(): Promise<void> {
    const { book, signals, pool, models, clock, burn } = this.#parts;
    const burning = burn.alerts();
    this.#hearBurning(burning);
    const open = await book.open();
    if (this.#first) {
      for (const { modelId, region, triggers } of open)
        if (triggers.includes('no-provider')) signals.remember(modelId, region);
      this.#first = false;
    }
    const names = new Set([...models(), ...signals.models()]);
    const held: string[] = [];
    const nowMs = clock.wallMs();
    for (const modelId of names) {
      const found = judged(signals.look(modelId, pool(modelId)), burning);
      for (const { look, triggers } of found) {
        const incident = open.find((each) => each.modelId === modelId && each.region === look.region);
        if (incident && triggers.length > 0) held.push(incident.id);
        // oxlint-disable-next-line no-await-in-loop -- rare, and in the order of the models.
        await this.#step(look, triggers, incident, nowMs);
      }
    }
    const wide = open.find((each) => each.modelId === '' && each.region === '');
    const ofAll = burnTriggers(burning, MARKET);
    if (wide && ofAll.length > 0) held.push(wide.id);
    await this.#step(MARKET, ofAll, wide, nowMs);
    await this.#endOrphans(open, names, nowMs);
    await book.held(held, nowMs);
    this.#open = await book.open();
    this.#alerts = explained(burning, this.#open);
    await this.#noteConsumers(nowMs);
    this.#declared = await this.#parts.declaredFreezes(nowMs);
    this.#posture = this.#postureNow(nowMs);
  }

  /** Whose contracts an incident burns is said in it once, for operators: a consumer has no incident of its own. */
  async #noteConsumers(nowMs: number): Promise<void> {
    for (const { id } of this.#open) {
      const consumers = new Set(
        this.#alerts
          .filter(({ consumerId, explainedBy }) => consumerId !== '' && explainedBy === id)
          .map(({ consumerId }) => consumerId),
      );
      if (consumers.size === 0) continue;
      const shown = [...consumers].slice(0, CONSUMERS_SHOWN).join(', ');
      const more = consumers.size > CONSUMERS_SHOWN ? ` and ${consumers.size - CONSUMERS_SHOWN} more` : '';
      const words = `It burns the error budgets of consumers with a contract: ${shown}${more}.`;
      // oxlint-disable-next-line no-await-in-loop -- rare.
      await this.#parts.book.noteOnce(id, { atMs: nowMs, actor: RULE, words });
    }
  }

  async #step(
    look: Pick<ComponentLook, 'modelId' | 'region'>,
    triggers: readonly Trigger[],
    incident: Incident | undefined,
    nowMs: number,
  ): Promise<void> {
    const { book, makeId, log } = this.#parts;
    const { modelId, region } = look;
    // What an operator opened, an operator ends.
    if (incident?.openedBy === 'operator' && triggers.length === 0) return;
    const step = nextStep(incident && stateOf(incident), triggers, nowMs);
    if (!step) return;
    if (step.kind === 'resolved') {
      const words = `Nothing was wrong for ${Math.round(step.quietMs / 60_000)} minutes.`;
      const about = { atMs: nowMs, actor: RULE, words, quietSinceMs: nowMs - QUIET_MS };
      if (await book.resolve((incident as Incident).id, about))
        log.info({ incident: incident?.id, model: modelId, region }, 'An incident is over.');
      return;
    }
    const because = sentence(triggers);
    const names = triggers.map(({ name }) => name);
    const change = { severity: step.severity, triggers: names, because, atMs: nowMs };
    if (step.kind === 'changed') {
      await book.change((incident as Incident).id, change);
      log.warn({ incident: incident?.id, model: modelId, region, because }, 'An incident changed.');
      return;
    }
    const id = makeId('inc');
    if (await book.begin({ id, modelId, region, actor: RULE, ...change }))
      log.warn({ incident: id, model: modelId, region, because }, 'An incident was opened.');
  }

  /** Incidents of components that nobody looks at any more: a model was taken off, or the process began anew. */
  async #endOrphans(open: readonly Incident[], names: ReadonlySet<string>, nowMs: number): Promise<void> {
    const { book } = this.#parts;
    for (const { id, modelId, openedBy, lastHeldMs } of open) {
      if (openedBy === 'operator' || names.has(modelId) || nowMs - lastHeldMs < QUIET_MS) continue;
      const words = 'Nothing was asked of it any more.';
      // oxlint-disable-next-line no-await-in-loop -- rare.
      await book.resolve(id, { atMs: nowMs, actor: RULE, words, quietSinceMs: nowMs - QUIET_MS });
    }
  }

  #postureNow(nowMs: number): Posture {
    const incidents = this.#open.map((incident) => ({
      ...incident,
      silenced: incident.silencedUntilMs !== null && incident.silencedUntilMs > nowMs,
    }));
    return postureOf(incidents, this.#alerts, this.#parts.standInOf, this.#declared);
  }

  #hearBurning(alerts: readonly GroupAlert[]): void {
    const name = ({ tier, modelId, region, consumerId, rule }: GroupAlert): string =>
      [tier, modelId, region, consumerId, rule.name].join('\n');
    const before = new Set(this.#alerts.map(name));
    for (const alert of alerts) {
      if (before.has(name(alert))) continue;
      const { tier, modelId, region, consumerId, rule, longRate, shortRate } = alert;
      const whose = {
        tier,
        ...(modelId !== '' && { model: modelId }),
        ...(region !== '' && { region }),
        ...(consumerId !== '' && { consumer: consumerId }),
      };
      this.#parts.log.warn({ ...whose, rule: rule.name, longRate, shortRate }, 'An error budget burns.');
    }
  }
}

/** The whole market as a component. */
const MARKET = { modelId: '', region: '' } as const;
const CONSUMERS_SHOWN = 10;

export interface IncidentWatchParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly makeId: (prefix: string) => string;
  readonly book: IncidentBook;
  readonly signals: LiveSignals;
  readonly burn: BurnWatch;
  /** Why operators froze changes by hand, where they did. */
  readonly declaredFreezes: (atMs: number) => Promise<readonly string[]>;
  /** The models that somebody is connected for. */
  readonly models: () => Iterable<string>;
  readonly pool: (modelId: string) => readonly PoolMember[];
  /** The smaller model that may stand in for one. */
  readonly standInOf: (modelId: string) => string | undefined;
}

/** Each component with its triggers. What is as bad everywhere is one incident, not one more for each region. */
function judged(
  looks: readonly ComponentLook[],
  burning: readonly GroupAlert[],
): { look: ComponentLook; triggers: readonly Trigger[] }[] {
  const all = looks.map((look) => ({
    look,
    triggers: [...triggersOf(look.figures, look.objectives), ...burnTriggers(burning, look)],
  }));
  const everywhere = all.find(({ look }) => look.region === '')?.triggers ?? [];
  return all.map(({ look, triggers }) => ({
    look,
    triggers:
      look.region === ''
        ? triggers
        : triggers.filter(
            ({ name, severity }) =>
              !everywhere.some((each) => each.name === name && rank(each.severity) >= rank(severity)),
          ),
  }));
}

function stateOf(incident: Incident): IncidentState {
  const { id, openedMs, worst, severity, triggers, lastHeldMs } = incident;
  return { id, openedMs, worst, severity, triggers: new Set(triggers), lastHeldMs };
}

function sentence(triggers: readonly Trigger[]): string {
  const all = triggers.map(({ because }) => because).join('; ');
  return `${all.charAt(0).toUpperCase()}${all.slice(1)}.`;
}
