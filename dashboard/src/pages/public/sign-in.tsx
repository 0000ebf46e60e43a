import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { me, session } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { PageHead } from '../../parts/page.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { homeOf } from '../../shell/roles.ts';

/** Signing in; afterwards to where one was sent from. */
export default function SignIn() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [to] = useUrlState('to', '');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const form = useForm(async () => {
    const { user } = await session.signIn({ email, password });
    queries.setQueryData(me().queryKey, user);
    // Only to a page of ours: an address with a host in it would lead elsewhere.
    await navigate({ to: /^\/(?!\/)/.test(to) ? to : homeOf(user) });
  });
  return (
    <div className="mx-auto max-w-sm pt-8">
      <PageHead title="Sign in">
        New here?{' '}
        <Link to="/sign-up" className="text-accent underline underline-offset-2">
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
        <Problem>{form.problem}</Problem>
        <Button type="submit" kind="primary" busy={form.busy} className="w-full">
          Sign in
        </Button>
      </form>
    </div>
  );
}
