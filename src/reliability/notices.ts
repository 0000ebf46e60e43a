import { createHmac } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Agent, request } from 'undici';
import type { NetworkRules } from '#hub/external/endpoint-url.ts';
import { readEndpointUrl } from '#hub/external/endpoint-url.ts';
import { guardedConnector } from '#hub/external/guarded-connect.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { BudgetNotice, BurnBook } from './burn-book.ts';
import type { Channel, Incident, IncidentBook, TimelineStep } from './incident-book.ts';

/**
 * Tells people about the steps of incidents, and about error budgets that begin or cease to burn: by a signed webhook, and as
 * files of mail for whatever program sends mail here. Each is told at least once by each channel, whichever process gets to it;
 * one that cannot be told is tried again, later and later, ten times. Where a webhook may lead is judged like an external endpoint.
 */
const RETRY_MS = 20_000;
const TRIES_MAX = 10;
/** What is older is in the timeline and no news any more. */
const NEWS_MS = 24 * 3_600_000;
const WEBHOOK_MS = 10_000;

export interface NoticeSettings {
  readonly webhook: { readonly url: string; readonly secret: Sealed<string> } | undefined;
  /** Where mail is put down as files, and whom it is for. */
  readonly mail: { readonly folder: string; readonly to: string } | undefined;
}

export class Notices {
  readonly #parts: {
    book: IncidentBook;
    burns: BurnBook;
    clock: Clock;
    log: Logger;
    settings: NoticeSettings;
  };
  readonly #agent: Agent;
  readonly #rules: NetworkRules;

  constructor(parts: {
    book: IncidentBook;
    burns: BurnBook;
    clock: Clock;
    log: Logger;
    settings: NoticeSettings;
    rules: NetworkRules;
  }) {
    this.#parts = parts;
    this.#rules = parts.rules;
    this.#agent = new Agent({ connect: guardedConnector(parts.rules, { timeoutMs: 5_000 }) });
  }

  /** Tells what is due. Rejects when the book cannot be read. */
  async tell(): Promise<void> {
    const { webhook, mail } = this.#parts.settings;
    if (webhook) await this.#channel('webhook', (message) => this.#post(webhook, message));
    if (mail) await this.#channel('mail', (message) => putDown(mail, message));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #channel(channel: Channel, send: (message: Message) => Promise<void>): Promise<void> {
    const { book, burns, clock } = this.#parts;
    const atMs = clock.wallMs();
    const about = { atMs, sinceMs: atMs - NEWS_MS, retryMs: RETRY_MS, triesMax: TRIES_MAX };
    for (const step of await book.takeDue(channel, about)) {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the timeline.
      await this.#deliver({ channel, about: step.incidentId }, async () => {
        const incident = await book.find(step.incidentId);
        if (incident) await send(ofStep({ step, incident }));
        await book.delivered(channel, step.seq, clock.wallMs());
      });
    }
    for (const notice of await burns.takeDue(channel, about)) {
      // oxlint-disable-next-line no-await-in-loop -- in the order of time.
      await this.#deliver({ channel, about: notice.alert.id }, async () => {
        await send(ofBudget(notice));
        await burns.delivered(channel, notice, clock.wallMs());
      });
    }
  }

  async #deliver(what: { channel: Channel; about: string }, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.log.warn({ err: error, ...what }, 'A notice could not be delivered; it is tried again.');
    }
  }

  async #post(to: { url: string; secret: Sealed<string> }, message: Message): Promise<void> {
    const place = readEndpointUrl(to.url, this.#rules.allowed);
    if ('refusal' in place) throw new Error(place.refusal);
    const body = JSON.stringify(message.body);
    const { clock } = this.#parts;
    const answer = await request(to.url, {
      method: 'POST',
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(WEBHOOK_MS),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'cygnet',
        'x-cygnet-signature': signature(to.secret.open(), body, Math.floor(clock.wallMs() / 1000)),
      },
      body,
    });
    answer.body.on('error', () => {});
    answer.body.destroy();
    if (answer.statusCode < 200 || answer.statusCode > 299)
      throw new Error(`The webhook answered with status ${answer.statusCode}.`);
  }
}

/** One notice, as each channel tells it. */
interface Message {
  /** For a webhook. `id` is the notice's own: what comes twice has the same one. */
  readonly body: { readonly id: string; readonly [name: string]: unknown };
  /** For a mail: what its file is called, and what it says. */
  readonly name: string;
  readonly at: number;
  readonly subject: string;
  readonly messageId: string;
  readonly text: readonly string[];
}

function ofStep({ step, incident }: { step: TimelineStep; incident: Incident }): Message {
  const where = [incident.modelId || 'the market', incident.region].filter(Boolean).join(', ');
  return {
    body: {
      id: `step_${step.seq}`,
      type: `incident.${step.kind}`,
      at: new Date(step.atMs).toISOString(),
      words: step.words,
      incident: {
        id: incident.id,
        model: incident.modelId,
        region: incident.region,
        severity: step.severity ?? incident.severity,
        opened_at: new Date(incident.openedMs).toISOString(),
        resolved_at: incident.resolvedMs === null ? null : new Date(incident.resolvedMs).toISOString(),
      },
    },
    name: `incident-${step.seq}`,
    at: step.atMs,
    subject: `[cygnet] ${incident.severity} incident ${step.kind}: ${where}`,
    messageId: `step-${step.seq}.${incident.id}`,
    text: [
      step.words,
      '',
      `Incident ${incident.id}, open since ${new Date(incident.openedMs).toISOString()}.`,
    ],
  };
}

function ofBudget({ alert, what }: BudgetNotice): Message {
  const { id, tier, modelId, region, consumerId, rule, severity, rate, beganMs, endedMs } = alert;
  const whose = [
    tier,
    modelId && ` for ${modelId}`,
    region && ` in ${region}`,
    consumerId && ` for the consumer ${consumerId}`,
  ].join('');
  const at = (what === 'ended' ? endedMs : beganMs) ?? beganMs;
  const words =
    what === 'began'
      ? `The error budget of ${whose} burns ${rate.toFixed(1)} times as fast as it lasts (rule ${rule}).`
      : `The error budget of ${whose} burns no more by the rule ${rule}.`;
  return {
    body: {
      id: `${id}_${what}`,
      type: `budget.${what}`,
      at: new Date(at).toISOString(),
      words,
      budget: {
        id,
        tier,
        model: modelId,
        region,
        consumer: consumerId,
        rule,
        severity,
        rate,
        began_at: new Date(beganMs).toISOString(),
        ended_at: what === 'ended' && endedMs !== null ? new Date(endedMs).toISOString() : null,
      },
    },
    name: `budget-${id}-${what}`,
    at,
    subject: `[cygnet] error budget of ${whose} ${what === 'began' ? `burns (${severity})` : 'burns no more'}`,
    messageId: `${id}-${what}.budget`,
    text: [words, '', `It began at ${new Date(beganMs).toISOString()}.`],
  };
}

/** `t=…,v1=…`: the HMAC-SHA256 of the time, a dot and the body, so that an old notice cannot be played again as a new one. */
function signature(secret: string, body: string, unixS: number): string {
  return `t=${unixS},v1=${createHmac('sha256', secret).update(`${unixS}.${body}`).digest('hex')}`;
}

/** Writes a mail under a name of its own; a reader never finds half of one, and twice is once. */
async function putDown(mail: { folder: string; to: string }, message: Message): Promise<void> {
  await mkdir(mail.folder, { recursive: true });
  const draft = path.join(mail.folder, `.${message.name}.draft`);
  await writeFile(draft, mailText(mail.to, message));
  await rename(draft, path.join(mail.folder, `${message.name}.eml`));
}

/** A mail as it is sent (RFC 5322). */
function mailText(to: string, { at, subject, messageId, text }: Message): string {
  return [
    `To: ${oneLine(to)}`,
    'From: Cygnet <cygnet@localhost>',
    `Date: ${new Date(at).toUTCString().replace('GMT', '+0000')}`,
    `Subject: ${oneLine(subject)}`,
    `Message-ID: <${messageId}@cygnet>`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    ...text,
    '',
  ].join('\r\n');
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}
