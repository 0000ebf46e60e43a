import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { call } from '../../../api.ts';
import { Button, ButtonLink } from '../../../parts/button.tsx';
import { Problem, TextField, useForm } from '../../../parts/form.tsx';
import { useUser } from '../../../shell/roles.ts';
import { wallMs } from '../../../surroundings.ts';

const KEPT_AS = 'cygnet-playground-key';
const HOURS = 12;

/** The key of this tab, if it has one: forgotten when the tab closes. */
export function keptKey(): string | undefined {
  try {
    return sessionStorage.getItem(KEPT_AS) ?? undefined;
  } catch {
    return undefined;
  }
}

function keepKey(secret: string | undefined): void {
  try {
    if (secret === undefined) sessionStorage.removeItem(KEPT_AS);
    else sessionStorage.setItem(KEPT_AS, secret);
  } catch {
    // Then it lasts as long as the page.
  }
}

/** Which key pays: none, one that is pasted in, or one made for this tab from the account. */
export function KeyPanel({
  secret,
  onChange,
}: {
  secret: string | undefined;
  onChange: (secret: string | undefined) => void;
}) {
  const user = useUser();
  const [pasted, setPasted] = useState('');
  const set = (next: string | undefined): void => {
    keepKey(next);
    onChange(next);
  };
  const make = useForm(async () => {
    const made = await call<{ api_key: string }>('POST', '/api/v1/user/me/keys', {
      body: {
        name: 'Playground',
        cap_day_usd: '1',
        expires_at: new Date(wallMs() + HOURS * 3_600_000).toISOString(),
      },
    });
    set(made.api_key);
  });
  if (secret !== undefined) {
    return (
      <div className="rounded-xl border border-line bg-surface p-4 shadow-low">
        <p className="flex items-center gap-2 font-medium">
          <KeyRound size={16} className="text-accent" aria-hidden /> A key pays
        </p>
        <p className="mt-1 text-sm text-soft">
          <code className="font-mono">{secret.slice(0, 12)}…</code> stays in this tab and is forgotten with
          it.
        </p>
        <Button size="sm" className="mt-3" onClick={() => set(undefined)}>
          Use no key
        </Button>
      </div>
    );
  }
  return (
    <div className="space-y-4 rounded-xl border border-line bg-surface p-4 shadow-low">
      <div>
        <p className="font-medium">Without a key</p>
        <p className="mt-1 text-sm text-soft">A few requests an hour, short answers, no streaming.</p>
      </div>
      {user ? (
        <form onSubmit={make.onSubmit}>
          <Button type="submit" kind="primary" busy={make.busy} className="w-full">
            Use my balance
          </Button>
          <p className="mt-1.5 text-sm text-soft">Makes a key for {HOURS} hours and at most $1 a day.</p>
          <Problem>{make.problem}</Problem>
        </form>
      ) : (
        <ButtonLink to="/sign-up" kind="primary" className="w-full">
          Sign up to stream
        </ButtonLink>
      )}
      <form
        className="space-y-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (pasted.trim() !== '') set(pasted.trim());
        }}
      >
        <TextField
          label="Or paste a key"
          type="password"
          autoComplete="off"
          placeholder="sk-swan-…"
          value={pasted}
          onChange={setPasted}
        />
        <Button type="submit" size="sm" disabled={pasted.trim() === ''}>
          Use this key
        </Button>
      </form>
    </div>
  );
}
