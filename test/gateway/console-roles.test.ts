import { afterAll, beforeAll, expect, test } from 'vitest';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import type { Access } from '#gateway/console/route.ts';
import { setOperator } from '#identity/accounts.ts';
import { systemClock } from '#kit/clock.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';

// Who may call what: every route of the console, asked by everybody. Whether one consumer sees another's things is asked by
// `console-security.test.ts`.

const WHO = ['nobody', 'consumer', 'consumer key', 'provider', 'provider key', 'operator'] as const;
type Who = (typeof WHO)[number];
/** By what a route says of itself. What is not named is refused. */
const MAY: Readonly<Record<Access, readonly Who[]>> = {
  public: WHO,
  user: ['consumer', 'provider', 'operator'],
  'provider-user': ['provider'],
  provider: ['provider', 'provider key'],
  'consumer-key': ['consumer key'],
  'anyone-known': ['consumer', 'consumer key', 'provider', 'provider key', 'operator'],
  operator: ['operator'],
};
/** The refusals of the door, by which it is told from those of the work behind it. */
const DOOR = /session_required|role_required|missing_api_key|invalid_api_key/;
const PASSWORD = 'correct horse';

let market: TestMarket;
const credentials = new Map<Who, (anew: boolean) => Promise<string | undefined>>();
let from = 0;

async function signUp(name: string) {
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: `${name}@example.org`, password: PASSWORD },
    headers: { 'x-forwarded-for': `192.0.2.${++from}` },
  });
  let token = made.json.token as string;
  const again = async (anew: boolean): Promise<string> => {
    if (!anew) return token;
    const { json } = await visit(`${market.url}/api/v1/user/login`, {
      body: { email: `${name}@example.org`, password: PASSWORD },
    });
    token = json.token as string;
    return token;
  };
  return { again, key: made.json.api_key as string, token };
}

beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
  const consumer = await signUp('consumer');
  const provider = await signUp('provider');
  const upgraded = await visit(`${market.url}/api/v1/user/upgrade-to-provider`, {
    token: provider.token,
    body: { name: 'GPUs', wallet_address: '' },
  });
  const operator = await signUp('operator');
  const at = Date.now();
  const { database } = market.fresh;
  await setOperator(database, { email: 'operator@example.org', isOperator: true, actor: 'cli', at });
  credentials
    .set('nobody', async () => undefined)
    .set('consumer', consumer.again)
    .set('consumer key', async () => consumer.key)
    .set('provider', provider.again)
    .set('provider key', async () => upgraded.json.provider_api_key)
    .set('operator', operator.again);
});
afterAll(() => market.close());

const ROUTES = consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms);
/** The question before may have ended the session. */
const ENDS_SESSIONS = /logout|sessions|password/;
let ended = false;
/** They would change who is asking. */
const CHANGES_THE_CALLER = /upgrade-to-provider$/;

test.each(
  ROUTES.filter(({ url }) => !CHANGES_THE_CALLER.test(url)).map(
    (route) => [`${route.method} ${route.url}`, route] as const,
  ),
)('%s is answered to whom it says, and refused at the door to everybody else', async (_line, route) => {
  const letIn: Who[] = [];
  for (const who of WHO) {
    const token = await credentials.get(who)?.(ended);
    const url = route.url.replace(/:\w+/g, 'x');
    const answered = await visit(`${market.url}${url}?once=true`, {
      method: route.method,
      headers: { 'x-forwarded-for': `203.0.113.${1 + (from++ % 250)}` },
      ...(token !== undefined && { token }),
      ...(route.method !== 'GET' && { body: {} }),
    });
    expect({ who, ours: answered.status >= 500 }).toEqual({ who, ours: false });
    const refused = (answered.status === 401 || answered.status === 403) && DOOR.test(answered.text);
    if (!refused) letIn.push(who);
  }
  ended = ENDS_SESSIONS.test(route.url);
  expect(letIn).toEqual(WHO.filter((who) => MAY[route.access].includes(who)));
});
