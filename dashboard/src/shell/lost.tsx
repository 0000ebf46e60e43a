import type { ErrorComponentProps } from '@tanstack/react-router';
import { Compass } from 'lucide-react';
import { ButtonLink } from '../parts/button.tsx';
import { PageHead } from '../parts/page.tsx';
import { Empty, Failure } from '../parts/states.tsx';

/** No page has this address. */
export function NotFound() {
  return (
    <>
      <PageHead title="There is no such page" />
      <Empty
        icon={Compass}
        title="Nothing here"
        action={
          <>
            <ButtonLink to="/models" kind="primary">
              Look at the models
            </ButtonLink>
            <ButtonLink to="/">Start page</ButtonLink>
          </>
        }
      >
        The address may be mistyped, or the page has moved. The command palette finds every page there is.
      </Empty>
    </>
  );
}

/** A page met a bug. */
export function Broken({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} retry={reset} />;
}
