import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { me, session, type User } from '../../api.ts';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { CodeBlock } from '../../parts/code.tsx';
import { CopyButton } from '../../parts/copy.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { PageHead } from '../../parts/page.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { homeOf } from '../../shell/roles.ts';
import { samplesFor } from './samples.ts';
import { ownPage } from './sign-in.tsx';

const PASSWORD_MIN = 8;

/** Making an account. Its first key is shown here, this once. */
export default function SignUp() {
  const queries = useQueryClient();
  const [to] = useUrlState('to', '');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [made, setMade] = useState<{ user: User; secret: string }>();
  const form = useForm(async () => {
    const { user, api_key } = await session.signUp({ email, password });
    queries.setQueryData(me().queryKey, user);
    setMade({ user, secret: api_key ?? '' });
  });
  if (made) return <Welcome secret={made.secret} to={ownPage(to) ?? homeOf(made.user)} />;
  return (
    <div className="mx-auto max-w-sm pt-8">
      <PageHead title="Make an account">
        Already have one?{' '}
        <Link
          to="/sign-in"
          search={to === '' ? {} : { to }}
          className="text-accent underline underline-offset-2"
        >
          Sign in
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
          autoComplete="new-password"
          required
          minLength={PASSWORD_MIN}
          hint={`At least ${PASSWORD_MIN} characters. A sentence is easy to keep and hard to guess.`}
          value={password}
          onChange={setPassword}
          error={form.errorOf('password')}
        />
        <Problem>{form.problem}</Problem>
        <Button type="submit" kind="primary" busy={form.busy} className="w-full">
          Make the account
        </Button>
      </form>
    </div>
  );
}

function Welcome({ secret, to }: { secret: string; to: string }) {
  return (
    <div className="mx-auto max-w-2xl pt-4">
      <PageHead title="Your first key">
        It is shown this once. Keep it where you keep secrets; you can make others and revoke this one at any
        time.
      </PageHead>
      <div className="flex items-center gap-3 rounded-xl border border-line bg-surface p-4 shadow-low">
        <code className="min-w-0 flex-1 font-mono text-sm wrap-anywhere">{secret}</code>
        <CopyButton text={secret} label="Copy the key" words="Copy" />
      </div>
      <h2 className="mt-8 mb-3 text-lg font-semibold">A first call</h2>
      <CodeBlock samples={samplesFor({ id: 'cygnet-nano', category: 'llm' })} label="A first call" />
      <div className="mt-6 flex gap-3">
        <ButtonLink to={to} kind="primary">
          Go on
        </ButtonLink>
        <ButtonLink to="/models">Look at the models</ButtonLink>
      </div>
    </div>
  );
}
