import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Coins, PlugZap, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import { me } from '../../api.ts';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty } from '../../parts/states.tsx';
import { useUser } from '../../shell/roles.ts';
import { act } from './api.ts';
import { useFreshKey } from './new-key.tsx';

const PROMISES = [
  [
    PlugZap,
    'Nothing to open',
    'An agent on your machine dials the market. It needs no public address, and works with the model server that you run already.',
  ],
  [
    Coins,
    'Paid by the token',
    'Of each charge the market keeps a small fee. What is yours is settled on chain every day, and only your wallet can be paid.',
  ],
  [
    ShieldCheck,
    'You can check all of it',
    'Why a request came or did not, what each benchmark found, and the proof behind each payout are on your pages.',
  ],
] as const;

/** Somebody who buys becomes somebody who sells as well. */
export default function Join() {
  const user = useUser();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const fresh = useFreshKey();
  const [name, setName] = useState('');
  const form = useForm(async () => {
    const made = await act.upgrade(name);
    fresh.note(made.provider_api_key);
    await queries.invalidateQueries({ queryKey: me().queryKey });
    await navigate({ to: '/provider' });
  });
  if (user?.roles.includes('provider') && !form.busy) {
    return (
      <>
        <PageHead title="Become a provider" />
        <Card>
          <Empty
            icon={PlugZap}
            title="You are a provider already"
            action={
              <ButtonLink to="/provider" kind="primary">
                Open your overview
              </ButtonLink>
            }
          >
            It shows what is left to do until the first request, and what you earned.
          </Empty>
        </Card>
      </>
    );
  }
  return (
    <>
      <PageHead title="Become a provider">
        Sell what your GPUs can do. Your account stays what it is, and gets provider pages of its own.
      </PageHead>
      <div className="grid gap-6 lg:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
        <Card title="How you are listed">
          <form onSubmit={form.onSubmit} className="space-y-4">
            <TextField
              label="Provider name"
              hint="On the leaderboard, and on the requests that you served."
              name="name"
              required
              maxLength={64}
              autoComplete="organization"
              value={name}
              onChange={setName}
              error={form.errorOf('name')}
            />
            <Problem>{form.problem}</Problem>
            <Button type="submit" kind="primary" busy={form.busy}>
              Become a provider
            </Button>
          </form>
        </Card>
        <ul className="space-y-5 py-2">
          {PROMISES.map(([Icon, title, words]) => (
            <li key={title} className="flex gap-3.5">
              <span className="inline-flex size-9 shrink-0 items-center justify-center rounded-lg border border-line bg-surface text-accent shadow-low">
                <Icon size={18} aria-hidden />
              </span>
              <div>
                <p className="font-semibold">{title}</p>
                <p className="text-soft">{words}</p>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}
