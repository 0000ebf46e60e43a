import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { ApiError, me, session, type User } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { PageHead } from '../../parts/page.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { homeOf } from '../../shell/roles.ts';

/** Where somebody was sent from, if that is a page of ours: an address with a host in it would lead elsewhere. */
export function ownPage(to: string): string | undefined {
  return /^\/(?!\/)/.test(to) ? to : undefined;
}

/** Signing in, with a code where the account has a second factor; afterwards to where one was sent from. */
export default function SignIn() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [to] = useUrlState('to', '');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState<string>();
  const form = useForm(async () => {
    let user: User;
    try {
      ({ user } = await session.signIn({
        email,
        password,
        ...(code !== undefined && { code: code.replaceAll(/\s/g, '') }),
      }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'second_factor_required') throw error;
      setCode('');
      return;
    }
    queries.setQueryData(me().queryKey, user);
    await navigate({ to: ownPage(to) ?? homeOf(user) });
  });
  return (
    <div className="mx-auto max-w-sm pt-8">
      <PageHead title="Sign in">
        New here?{' '}
        <Link
          to="/sign-up"
          search={to === '' ? {} : { to }}
          className="text-accent underline underline-offset-2"
        >
          Make an account
        </Link>
      </PageHead>
      <form onSubmit={form.onSubmit} className="space-y-4">
        <TextField
          label="E-mail"
          type="email"
          name="email"
          autoComplete="username"
          required
          value={email}
          onChange={setEmail}
          error={form.errorOf('email')}
        />
        <TextField
          label="Password"
          type="password"
          name="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
          error={form.errorOf('password')}
        />
        {code !== undefined && (
          <TextField
            label="Code"
            name="code"
            inputMode="numeric"
            autoComplete="one-time-code"
            required
            ref={focused}
            hint="Six digits from your authenticator, or one of your recovery codes."
            value={code}
            onChange={setCode}
            className="font-mono tracking-widest"
          />
        )}
        <Problem>{form.problem}</Problem>
        <Button type="submit" kind="primary" busy={form.busy} className="w-full">
          {code === undefined ? 'Sign in' : 'Verify and sign in'}
        </Button>
      </form>
    </div>
  );
}

/** It appears in answer to a press of the button: the reader types on. */
function focused(input: HTMLInputElement | null): void {
  input?.focus();
}
