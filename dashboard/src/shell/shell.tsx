import { Menu as BaseMenu } from '@base-ui/react/menu';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useMatches, useNavigate } from '@tanstack/react-router';
import { ChevronDown, LogIn, LogOut, Menu as MenuIcon, Monitor, Moon, Search, Sun } from 'lucide-react';
import { useMemo, useState } from 'react';
import { me, session } from '../api.ts';
import { type Area, PAGES, type Page } from '../pages.ts';
import { ButtonLink, IconButton } from '../parts/button.tsx';
import { cx } from '../parts/class-names.ts';
import { Dialog } from '../parts/dialog.tsx';
import { COMMAND_KEY, Key, useKeys } from '../parts/keys.tsx';
import { Empty } from '../parts/states.tsx';
import { setTheme, useTheme } from '../parts/theme.ts';
import { Toasts } from '../parts/toast.tsx';
import { KeysHelp } from './keys-help.tsx';
import { Logo } from './logo.tsx';
import { PageSkeleton } from './page-skeleton.tsx';
import { Palette, usePaletteKey } from './palette.tsx';
import { areasOf, mayOpen, useUser } from './roles.ts';

/** What surrounds every page: the bar above, the sidebar of an area, the palette, the keys, the toasts. */
export function Shell() {
  const user = useUser();
  const navigate = useNavigate();
  const page = useMatches().at(-1)?.staticData.page;
  const area = page?.area ?? 'public';
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [drawer, setDrawer] = useState(false);
  usePaletteKey(() => setPalette(true));
  const keys = useMemo(
    () => ({
      '?': () => setHelp(true),
      '/': () => setPalette(true),
      ...Object.fromEntries(
        PAGES.filter((each) => each.keys !== undefined && mayOpen(each.area, user)).map((each) => [
          each.keys,
          () => void navigate({ to: each.path }),
        ]),
      ),
    }),
    [navigate, user],
  );
  useKeys(keys);

  return (
    <div className="flex min-h-screen flex-col">
      <a
        href="#content"
        className="sr-only z-60 rounded-lg bg-accent px-3 py-2 text-accent-ink focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-30 border-b border-line bg-canvas/90 backdrop-blur-md">
        <div className="mx-auto flex h-14 max-w-7xl items-center gap-1 px-4 sm:px-6">
          <IconButton
            icon={MenuIcon}
            label="Menu"
            className="-ml-2 lg:hidden"
            onClick={() => setDrawer(true)}
          />
          <Link to="/" className="mr-3 flex items-center gap-2.5 rounded-lg font-semibold tracking-tight">
            <Logo />
            <span className="text-lg">Cygnet</span>
          </Link>
          <nav aria-label="Market" className="hidden items-center lg:flex">
            {pagesOf('public').map((each) => (
              <NavLink key={each.path} page={each} />
            ))}
            <a href="/docs" className={NAV_LINK}>
              API
            </a>
          </nav>
          <div className="ml-auto flex items-center gap-1">
            <button
              type="button"
              onClick={() => setPalette(true)}
              className="flex h-8 items-center gap-2 rounded-lg border border-line bg-surface px-2.5 text-sm text-soft shadow-low transition-colors hover:border-line-strong hover:text-ink xl:w-48"
            >
              <Search size={14} aria-hidden />
              <span className="hidden flex-1 text-left xl:block">Search</span>
              <span className="sr-only xl:hidden">Search</span>
              <span className="hidden gap-0.5 sm:flex">
                <Key>{COMMAND_KEY}</Key>
                <Key>K</Key>
              </span>
            </button>
            <ThemeMenu />
            <UserMenu />
          </div>
        </div>
      </header>

      <div className="mx-auto flex w-full max-w-7xl flex-1 px-4 sm:px-6">
        {area !== 'public' && (
          <aside className="hidden w-52 shrink-0 border-r border-line py-6 pr-4 lg:block">
            <AreaNav area={area} />
          </aside>
        )}
        <main id="content" className={cx('min-w-0 flex-1 py-8', area !== 'public' && 'lg:pl-8')}>
          {user === undefined && area !== 'public' ? (
            <PageSkeleton />
          ) : mayOpen(area, user) ? (
            <Outlet />
          ) : (
            <>
              <h1 className="sr-only">{page?.title}</h1>
              <Closed area={area} signedIn={user !== null} />
            </>
          )}
        </main>
      </div>

      <Footer />
      <Dialog open={drawer} onClose={() => setDrawer(false)} title="Menu">
        <div className="space-y-6">
          {areasOf(user).map((each) => (
            <SideNav
              key={each.area}
              title={each.title}
              pages={pagesOf(each.area)}
              onFollow={() => setDrawer(false)}
            />
          ))}
          <SideNav title="Market" pages={pagesOf('public')} onFollow={() => setDrawer(false)} />
        </div>
      </Dialog>
      <Palette open={palette} onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />
      <KeysHelp open={help} onClose={() => setHelp(false)} />
      <Toasts />
    </div>
  );
}

function pagesOf(area: Area): Page[] {
  return PAGES.filter((page) => page.area === area && page.icon);
}

const NAV_LINK =
  'rounded-lg px-2.5 py-1.5 text-base font-medium text-soft transition-colors hover:bg-hover hover:text-ink';

function NavLink({ page }: { page: Page }) {
  return (
    <Link to={page.path} className={NAV_LINK} activeProps={{ className: 'text-ink', 'aria-current': 'page' }}>
      {page.title}
    </Link>
  );
}

/** The areas somebody has, and the pages of the one that is open. */
function AreaNav({ area }: { area: Area }) {
  const user = useUser();
  const areas = areasOf(user);
  const pages = pagesOf(area);
  const sections = [...new Set(pages.map((page) => page.section ?? ''))];
  return (
    <div className="sticky top-20 space-y-5">
      {areas.length > 1 && (
        <nav aria-label="Roles" className="flex rounded-lg bg-sunken p-0.5">
          {areas.map((each) => (
            <Link
              key={each.area}
              to={pagesOf(each.area)[0]?.path ?? '/'}
              aria-current={each.area === area ? 'true' : undefined}
              className={cx(
                'flex-1 rounded-md py-1 text-center text-xs font-medium',
                each.area === area ? 'bg-raised text-ink shadow-low' : 'text-soft hover:text-ink',
              )}
            >
              {each.title}
            </Link>
          ))}
        </nav>
      )}
      {sections.map((section) => (
        <SideNav
          key={section}
          title={section}
          pages={pages.filter((page) => (page.section ?? '') === section)}
        />
      ))}
    </div>
  );
}

function SideNav({
  title,
  pages,
  onFollow,
}: {
  title: string;
  pages: readonly Page[];
  onFollow?: () => void;
}) {
  return (
    <nav aria-label={title === '' ? 'Pages' : title}>
      {title !== '' && <p className="mb-1.5 px-2.5 text-xs font-medium text-faint">{title}</p>}
      <ul className="space-y-0.5">
        {pages.map(({ path, title: name, icon: Icon }) => (
          <li key={path}>
            <Link
              to={path}
              onClick={onFollow}
              activeOptions={{ exact: path.split('/').length < 3 && path !== '/models' }}
              className="flex items-center gap-2.5 rounded-lg px-2.5 py-1.5 font-medium text-soft transition-colors hover:bg-hover hover:text-ink"
              activeProps={{ className: 'bg-hover text-ink', 'aria-current': 'page' }}
            >
              {Icon && <Icon size={16} aria-hidden />}
              {name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

const MENU_ITEM =
  'flex w-full cursor-pointer items-center gap-2.5 rounded-lg px-2.5 py-1.5 outline-none data-highlighted:bg-hover';

function ThemeMenu() {
  const { theme, shown } = useTheme();
  const Icon = shown === 'dark' ? Moon : Sun;
  const choices = [
    { value: 'light', label: 'Light', icon: Sun },
    { value: 'dark', label: 'Dark', icon: Moon },
    { value: 'system', label: 'As the system', icon: Monitor },
  ] as const;
  return (
    <BaseMenu.Root>
      <BaseMenu.Trigger render={<IconButton icon={Icon} label="Theme" />} />
      <BaseMenu.Portal>
        <BaseMenu.Positioner sideOffset={6} align="end" className="z-40">
          <BaseMenu.Popup className="w-44 rounded-xl border border-line bg-surface p-1 shadow-high">
            <BaseMenu.RadioGroup value={theme} onValueChange={setTheme}>
              {choices.map((choice) => (
                <BaseMenu.RadioItem
                  key={choice.value}
                  value={choice.value}
                  className={MENU_ITEM}
                  closeOnClick
                >
                  <choice.icon size={16} className="text-faint" aria-hidden />
                  <span className="flex-1">{choice.label}</span>
                  <BaseMenu.RadioItemIndicator className="size-1.5 rounded-full bg-accent" />
                </BaseMenu.RadioItem>
              ))}
            </BaseMenu.RadioGroup>
          </BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}

function UserMenu() {
  const user = useUser();
  const queries = useQueryClient();
  const navigate = useNavigate();
  if (user === undefined) return <span className="h-8 w-20" />;
  if (user === null) {
    return (
      <>
        <ButtonLink to="/sign-in" kind="quiet" size="sm" className="max-sm:hidden">
          Sign in
        </ButtonLink>
        <ButtonLink to="/sign-up" kind="primary" size="sm">
          Sign up
        </ButtonLink>
      </>
    );
  }
  const signOut = async (): Promise<void> => {
    // Whatever the answer: this browser is to forget.
    await session.signOut().catch(() => {});
    queries.clear();
    queries.setQueryData(me().queryKey, null);
    await navigate({ to: '/' });
  };
  return (
    <BaseMenu.Root>
      <BaseMenu.Trigger className="ml-1 flex h-8 items-center gap-1.5 rounded-lg px-2 font-medium transition-colors hover:bg-hover">
        <span className="flex size-5 items-center justify-center rounded-full bg-accent text-xs text-accent-ink">
          {user.display_name.slice(0, 1).toUpperCase()}
        </span>
        <span className="max-w-32 truncate max-sm:sr-only">{user.display_name}</span>
        <ChevronDown size={14} className="text-faint" aria-hidden />
      </BaseMenu.Trigger>
      <BaseMenu.Portal>
        <BaseMenu.Positioner sideOffset={6} align="end" className="z-40">
          <BaseMenu.Popup className="w-56 rounded-xl border border-line bg-surface p-1 shadow-high">
            <p className="truncate px-2.5 py-2 text-sm text-soft">{user.email}</p>
            <BaseMenu.Separator className="mx-1 mb-1 h-px bg-line" />
            {areasOf(user).map(({ area, title }) => (
              <BaseMenu.Item
                key={area}
                className={MENU_ITEM}
                onClick={() => void navigate({ to: pagesOf(area)[0]?.path ?? '/' })}
              >
                {title}
              </BaseMenu.Item>
            ))}
            <BaseMenu.Item className={MENU_ITEM} onClick={() => void signOut()}>
              <LogOut size={16} className="text-faint" aria-hidden />
              Sign out
            </BaseMenu.Item>
          </BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}

/** An area that this visitor may not open, and how they could. */
function Closed({ area, signedIn }: { area: Area; signedIn: boolean }) {
  if (!signedIn) {
    return (
      <Empty
        icon={LogIn}
        title="Sign in to go on"
        action={
          <>
            <ButtonLink to="/sign-in" search={{ to: location.pathname }} kind="primary">
              Sign in
            </ButtonLink>
            <ButtonLink to="/sign-up" search={{ to: location.pathname }}>
              Make an account
            </ButtonLink>
          </>
        }
      >
        This page shows what belongs to an account.
      </Empty>
    );
  }
  return (
    <>
      <h1 className="sr-only">Not for this account</h1>
      <Empty
        icon={LogIn}
        title="Not for this account"
        action={
          area === 'provider' ? (
            <ButtonLink to="/provider/join" kind="primary">
              Become a provider
            </ButtonLink>
          ) : (
            <ButtonLink to="/">Start page</ButtonLink>
          )
        }
      >
        {area === 'operator'
          ? 'Only operators see this. Whoever runs the market makes you one, on its machine: npx cygnet operator add, and your address.'
          : 'This account is not a provider yet. Become one to sell what your GPUs can do.'}
      </Empty>
    </>
  );
}

function Footer() {
  return (
    <footer className="border-t border-line">
      <div className="mx-auto flex max-w-7xl flex-wrap items-center justify-between gap-x-8 gap-y-3 px-4 py-6 text-sm text-soft sm:px-6">
        <p>An open market for AI inference.</p>
        <nav aria-label="More" className="flex flex-wrap gap-x-5 gap-y-2">
          {FOOTER.map(([href, name]) => (
            <a key={href} href={href} className="hover:text-ink">
              {name}
            </a>
          ))}
        </nav>
      </div>
    </footer>
  );
}

const FOOTER = [
  ['/docs', 'API reference'],
  ['/openapi.json', 'OpenAPI'],
  ['/status', 'Plain status page'],
  ['/status.atom', 'Incidents as a feed'],
] as const;
