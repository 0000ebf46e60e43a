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
import type { Channel, Incident, IncidentBook, TimelineStep } from './incident-book.ts';

/**
 * Tells people about the steps of incidents: by a signed webhook, and as files of mail for whatever program sends mail here.
 * Each step is told at least once by each channel, whichever process gets to it; one that cannot be told is tried again, later
 * and later, ten times. Where a webhook may lead is judged like an external endpoint.
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
  readonly #parts: { book: IncidentBook; clock: Clock; log: Logger; settings: NoticeSettings };
  readonly #agent: Agent;
  readonly #rules: NetworkRules;

  constructor(parts: {
    book: IncidentBook;
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
    if (webhook) await this.#channel('webhook', (notice) => this.#post(webhook, notice));
    if (mail) await this.#channel('mail', (notice) => putDown(mail, notice));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #channel(channel: Channel, send: (notice: Notice) => Promise<void>): Promise<void> {
    const { book, clock, log } = this.#parts;
    const atMs = clock.wallMs();
    const about = { atMs, sinceMs: atMs - NEWS_MS, retryMs: RETRY_MS, triesMax: TRIES_MAX };
    for (const step of await book.takeDue(channel, about)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- in the order of the timeline.
        const incident = await book.find(step.incidentId);
        // oxlint-disable-next-line no-await-in-loop
        if (incident) await send({ step, incident });
        // oxlint-disable-next-line no-await-in-loop
        await book.delivered(channel, step.seq, clock.wallMs());
      } catch (error) {
        log.warn(
          { err: error, channel, incident: step.incidentId },
          'A notice could not be delivered; it is tried again.',
        );
      }
    }
  }

  async #post(to: { url: string; secret: Sealed<string> }, notice: Notice): Promise<void> {
    const place = readEndpointUrl(to.url, this.#rules.allowed);
    if ('refusal' in place) throw new Error(place.refusal);
    const body = JSON.stringify(webhookBody(notice));
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

interface Notice {
  readonly step: TimelineStep;
  readonly incident: Incident;
}

/** What a webhook gets. `id` is the step's own: what comes twice has the same one. */
function webhookBody({ step, incident }: Notice): Record<string, unknown> {
  return {
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
  };
}

/** `t=…,v1=…`: the HMAC-SHA256 of the time, a dot and the body, so that an old notice cannot be played again as a new one. */
function signature(secret: string, body: string, unixS: number): string {
  return `t=${unixS},v1=${createHmac('sha256', secret).update(`${unixS}.${body}`).digest('hex')}`;
}

/** Writes a mail under a name of its own; a reader never finds half of one, and twice is once. */
async function putDown(mail: { folder: string; to: string }, notice: Notice): Promise<void> {
  await mkdir(mail.folder, { recursive: true });
  const name = `incident-${notice.step.seq}`;
  const draft = path.join(mail.folder, `.${name}.draft`);
  await writeFile(draft, mailText(mail.to, notice));
  await rename(draft, path.join(mail.folder, `${name}.eml`));
}

/** A mail as it is sent (RFC 5322). */
function mailText(to: string, { step, incident }: Notice): string {
  const where = [incident.modelId || 'the market', incident.region].filter(Boolean).join(', ');
  const subject = `[cygnet] ${incident.severity} incident ${step.kind}: ${where}`;
  return [
    `To: ${oneLine(to)}`,
    'From: Cygnet <cygnet@localhost>',
    `Date: ${new Date(step.atMs).toUTCString().replace('GMT', '+0000')}`,
    `Subject: ${oneLine(subject)}`,
    `Message-ID: <step-${step.seq}.${incident.id}@cygnet>`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    step.words,
    '',
    `Incident ${incident.id}, open since ${new Date(incident.openedMs).toISOString()}.`,
    '',
  ].join('\r\n');
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}
