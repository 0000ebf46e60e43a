import type { Provider } from '#domain/party.ts';
import type { Declaration } from './declaration.ts';

/** A `notice`, as agents from generation B on show it to their operators (Swan contract 1.5). */
export interface Notice {
  /** `[a-z0-9_]`, at most 64 characters. */
  readonly event: string;
  readonly severity: 'info' | 'warning' | 'critical';
  /** At most 1,000 characters. */
  readonly message: string;
  /** At most 16, each of at most 200 characters. */
  readonly details?: Readonly<Record<string, string>>;
}

/** Said before a hub closes in order. What an agent is working on may end; then its line is closed and it dials again. */
export const RESTARTING: Notice = {
  event: 'restarting',
  severity: 'info',
  message: 'This hub is about to restart: work under way may end, then dial again.',
};

const MESSAGE_CHARS_MAX = 1_000;
const DETAILS_MAX = 16;
const DETAIL_CHARS_MAX = 200;

/** What to tell a provider that changed, and why; undefined when it means nothing to its agents. */
export function noticeOfChange(provider: Provider | undefined): Notice | undefined {
  const said = plainNotice(provider);
  const reason = provider?.reason ?? '';
  return said && reason !== ''
    ? { ...said, message: `${said.message} ${reason}`.slice(0, MESSAGE_CHARS_MAX) }
    : said;
}

function plainNotice(provider: Provider | undefined): Notice | undefined {
  switch (provider?.state) {
    case 'active':
      if (provider.withheldUntil !== undefined) return withheld(provider.withheldUntil);
      return {
        event: 'activated',
        severity: 'info',
        message: 'This provider is active: requests are routed here.',
      };
    case 'suspended':
      return {
        event: 'suspended',
        severity: 'critical',
        message: 'This provider is suspended: no requests are routed here until it is lifted.',
      };
    case 'approved':
      return {
        event: 'approved',
        severity: 'info',
        message: 'This provider is approved: what is still missing before it is active is in its status.',
      };
    case 'removed':
      return {
        event: 'removed',
        severity: 'critical',
        message: 'This provider was removed from the marketplace.',
      };
    default:
      return undefined;
  }
}

function withheld(until: number): Notice {
  return {
    event: 'traffic_withheld',
    severity: 'warning',
    message: `A failure was found: no requests are routed here until ${new Date(until).toISOString()}.`,
  };
}

/** What to tell after a registration: why no traffic comes, and which models were not accepted. */
export function noticesOfRegistration(declaration: Declaration, provider: Provider | undefined): Notice[] {
  const notices: Notice[] = [];
  const state = provider?.state;
  if (state === 'active' && provider?.withheldUntil !== undefined) {
    notices.push(withheld(provider.withheldUntil));
  } else if (state !== 'active') {
    notices.push({
      event: 'traffic_withheld',
      severity: 'warning',
      message: `No requests are routed here yet: the provider is ${(state ?? 'unknown').replace('_', ' ')}.`,
    });
  }
  if (declaration.refused.length > 0) {
    const shown = declaration.refused.slice(0, DETAILS_MAX);
    notices.push({
      event: 'register_rejected',
      severity: 'warning',
      message: `${declaration.refused.length} of the declared models were not accepted.`,
      details: Object.fromEntries(
        shown.map(({ name, reason }) => [name.slice(0, DETAIL_CHARS_MAX), reason.slice(0, DETAIL_CHARS_MAX)]),
      ),
    });
  }
  return notices;
}
